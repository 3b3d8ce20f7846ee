//! A registry behind an existing axum application: one line, and everything below `/v2/` is it.

use axum::{Router, routing::get};
use registry_core::{Engine, server::RegistryService};
use registry_storage::MemoryStorage;
use tokio::net::TcpListener;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:5000").await?;
    println!("http://{}/v2/", listener.local_addr()?);
    Ok(axum::serve(listener, app()).await?)
}

fn app() -> Router {
    let store = MemoryStorage::new();
    let engine = Engine::builder()
        .blobs(store.blobs())
        .metadata(store.metadata())
        .build();
    Router::new()
        .route("/", get(|| async { "an application of ours" }))
        .fallback_service(RegistryService::new(engine))
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    #[tokio::test]
    async fn both_are_there() -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async { axum::serve(listener, app()).await });
        for (path, status) in [("/", "200"), ("/v2/", "200"), ("/v2/a/tags/list", "404")] {
            let mut stream = TcpStream::connect(address).await?;
            let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
        }
        Ok(())
    }
}
