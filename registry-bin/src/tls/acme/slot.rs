//! A place for what answers a handshake, which changes while handshakes go on.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// Answers with what was put there last; with nothing at first, which ends the handshake.
#[derive(Debug, Default)]
pub(super) struct Slot(RwLock<Option<Arc<dyn ResolvesServerCert>>>);

impl Slot {
    /// Puts `resolver` there, and returns what was there before.
    pub(super) fn put(
        &self,
        resolver: Arc<dyn ResolvesServerCert>,
    ) -> Option<Arc<dyn ResolvesServerCert>> {
        let mut slot = self.0.write().unwrap_or_else(PoisonError::into_inner);
        slot.replace(resolver)
    }
}

impl ResolvesServerCert for Slot {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let slot = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let resolver = slot.clone()?;
        drop(slot);
        resolver.resolve(hello)
    }
}
