//! A registry for somebody's integration tests: in memory, on a random port, failing when told to.

mod faults;

use std::{net::SocketAddr, sync::Arc, sync::PoisonError};

use hyper::StatusCode;
use registry_core::{
    Engine,
    server::{RegistryService, hyper::serve},
};
use registry_storage::memory::MemoryStorage;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::faults::{Failing, Faults};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let registry = Ephemeral::start().await?;
    registry.fail_next(StatusCode::TOO_MANY_REQUESTS, 2);
    for expected in ["429", "429", "200"] {
        let mut stream = TcpStream::connect(registry.address).await?;
        let request = b"GET /v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        println!("{}", answer.lines().next().unwrap_or_default());
        assert_eq!(answer.get(9..12), Some(expected));
    }
    Ok(())
}

/// It ends when it is dropped, and leaves nothing behind.
struct Ephemeral {
    address: SocketAddr,
    faults: Faults,
    server: JoinHandle<std::io::Result<()>>,
}

impl Ephemeral {
    async fn start() -> Result<Self> {
        let (store, faults) = (MemoryStorage::new(), Faults::default());
        let engine = Engine::builder()
            .blobs(store.blobs())
            .metadata(store.metadata())
            .build();
        let service = Failing {
            inner: RegistryService::new(engine),
            faults: Arc::clone(&faults),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(serve(listener, service));
        Ok(Self {
            address,
            faults,
            server,
        })
    }

    /// Answers the next requests like this, without looking at them.
    fn fail_next(&self, status: StatusCode, times: usize) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.extend(std::iter::repeat_n(status, times));
    }
}

impl Drop for Ephemeral {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_fails_when_told_to() {
        super::main().unwrap();
    }
}
