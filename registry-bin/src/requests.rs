//! What requests leave in the logs.

use http::{StatusCode, header::AUTHORIZATION};
use registry_core::{Clock, SystemClock, server::Exchange};
use tracing::{debug, error, info};

use crate::{
    causes,
    telemetry::{AccessLine, AccessLog},
};

/// What is said in the application log: of what was this registry's fault, all that is known; of logins
/// that failed, where from; of everything else, something at the level `debug` alone.
pub(crate) fn told(exchange: &Exchange<'_>) {
    let context = exchange.context;
    let request = context.request_id.as_deref();
    let (method, path) = (exchange.method.as_str(), exchange.uri.path());
    let status = exchange.status.as_u16();
    let client = context.client.map(tracing::field::display);
    let Some(failed) = exchange.error else {
        let milliseconds = exchange.took.as_millis();
        debug!(
            request,
            client, method, path, status, milliseconds, "answered"
        );
        return;
    };
    let causes = causes::causes_on_a_line(failed);
    if exchange.status.is_server_error() {
        error!(request, method, path, status, causes, "{failed}");
    } else if is_failed_login(exchange) {
        info!(
            request,
            client, method, path, status, "login failed: {failed}"
        );
    } else {
        let detail = failed.detail_value().map(tracing::field::display);
        debug!(
            request,
            client, method, path, status, detail, causes, "refused: {failed}"
        );
    }
}

/// Whether somebody showed something, and was not let in.
fn is_failed_login(exchange: &Exchange<'_>) -> bool {
    let refused = [StatusCode::UNAUTHORIZED, StatusCode::TOO_MANY_REQUESTS];
    refused.contains(&exchange.status) && exchange.headers.contains_key(AUTHORIZATION)
}

/// Begins a line of the access log, which is written when the answer has ended.
pub(crate) fn logged(exchange: &Exchange<'_>, log: &AccessLog) -> Box<dyn FnOnce(u64) + Send> {
    let context = exchange.context;
    let (method, path) = (exchange.method.as_str(), exchange.uri.path());
    let status = exchange.status.as_u16();
    let mut line = AccessLine::new(SystemClock.now(), method, path, status);
    line.query = exchange.uri.query();
    line.client = context.client;
    line.user = context.principal.name.as_deref();
    line.took = Some(exchange.took);
    line.request_id = context.request_id.as_deref();
    let begun = log.begin(&line.with_request(exchange.version, exchange.headers));
    Box::new(move |sent| begun.end(sent))
}
