//! Why there was no certificate, and what to do about it.

use std::time::Duration;

use rustls_acme::{
    CertParseError, OrderError,
    acme::{AcmeError, Auth, Identifier, Order, Problem},
};

use crate::config::display_duration;

const NAME: &str =
    "Port 443 of each name must lead to this registry, for the authority as for clients";
const DIRECTORY: &str = "Where the authority was not reached, let the registry reach it, and name the \
                         authority of its certificate in http.tls.letsencrypt.directoryca unless that is \
                         one of the web's; where it refused, do what it says";
const AUTHORITY: &str = "If it goes on, ask who runs the authority";

/// Why an authority gave no certificate.
#[derive(Debug)]
pub(super) struct Refusal {
    why: String,
    remedy: &'static str,
}

impl Refusal {
    /// It did not say anything for that long.
    pub(super) fn silence(time: Duration) -> Self {
        let time = display_duration(time);
        Self {
            why: format!("nothing was heard from the authority for {time}"),
            remedy: DIRECTORY,
        }
    }

    /// The reason.
    pub(super) fn why(&self) -> &str {
        &self.why
    }

    /// What to do.
    pub(super) fn remedy(&self) -> &str {
        self.remedy
    }
}

impl From<OrderError> for Refusal {
    fn from(error: OrderError) -> Self {
        let (why, remedy) = match &error {
            OrderError::BadAuth(auth) => (unproven(auth), NAME),
            OrderError::TooManyAttemptsAuth(name) => (
                format!("{name}: the authority did not get to look at it"),
                NAME,
            ),
            OrderError::BadOrder(order) => (ended(order), AUTHORITY),
            OrderError::ProcessingTimeout(_) => {
                ("the authority did not come to an end".to_owned(), AUTHORITY)
            }
            OrderError::Acme(AcmeError::Io(_) | AcmeError::HttpRequest(_)) => {
                (error.to_string(), DIRECTORY)
            }
            _ => (error.to_string(), AUTHORITY),
        };
        Self { why, remedy }
    }
}

impl From<CertParseError> for Refusal {
    fn from(error: CertParseError) -> Self {
        Self {
            why: format!("what the authority sent is no certificate: {error}"),
            remedy: AUTHORITY,
        }
    }
}

fn unproven(auth: &Auth) -> String {
    let Identifier::Dns(name) = &auth.identifier;
    let mut problems = auth.challenges.iter().map(|challenge| &challenge.error);
    let said = problems.find_map(|problem| detail(problem.as_ref()));
    let said = said.unwrap_or("the authority gave no reason");
    format!("{name}: {said}")
}

fn ended(order: &Order) -> String {
    let said = detail(order.error.as_ref()).unwrap_or("the authority gave no reason");
    format!("the order was refused: {said}")
}

fn detail(problem: Option<&Problem>) -> Option<&str> {
    let problem = problem?;
    problem.detail.as_deref().or(problem.typ.as_deref())
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn what_the_authority_says_is_passed_on() {
        let auth = from_value(json!({
            "status": "invalid",
            "identifier": {"type": "dns", "value": "registry.example"},
            "challenges": [
                {"type": "http-01", "url": "u"},
                {"type": "tls-alpn-01", "url": "u", "error": {"detail": "Connection refused"}},
            ],
        }));
        let refusal = Refusal::from(OrderError::BadAuth(auth.unwrap()));
        assert_eq!(refusal.why(), "registry.example: Connection refused");
        assert!(refusal.remedy().contains("Port 443"));

        let order = from_value(json!({
            "status": "invalid", "authorizations": [], "finalize": "f",
            "error": {"type": "urn:ietf:params:acme:error:caa"},
        }));
        let refusal = Refusal::from(OrderError::BadOrder(order.unwrap()));
        let said = "the order was refused: urn:ietf:params:acme:error:caa";
        assert_eq!(refusal.why(), said);
    }
}
