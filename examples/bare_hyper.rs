//! A registry on hyper alone: your own accept loop, your own connection settings.

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use registry_core::{Engine, server::RegistryService};
use registry_storage::MemoryStorage;
use tokio::net::TcpListener;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:5000").await?;
    println!("http://{}/v2/", listener.local_addr()?);
    serve(listener).await
}

async fn serve(listener: TcpListener) -> Result<()> {
    let store = MemoryStorage::new();
    let engine = Engine::builder()
        .blobs(store.blobs())
        .metadata(store.metadata())
        .build();
    let service = RegistryService::new(engine);
    loop {
        let (stream, peer) = listener.accept().await?;
        let service = service.clone();
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new());
            let connection = http.serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    #[tokio::test]
    async fn it_serves() -> Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { serve(listener).await.map_err(|error| error.to_string()) });
        let mut stream = TcpStream::connect(address).await?;
        let request = b"GET /v2/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.ends_with("{}"), "{answer}");
        Ok(())
    }
}
