//! Registries to ask, and what to push to them.

mod http;
mod servers;

use std::collections::BTreeSet;

use registry_core::Algorithm;
use serde_json::{Value, json};

pub(crate) use self::{
    http::{Client, Request, Response, exchange, read},
    servers::{Folder, Server, Setup, Store, panics},
};

pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// What content is called under SHA-256.
pub(crate) fn sha256(content: impl AsRef<[u8]>) -> String {
    Algorithm::Sha256.digest(content.as_ref()).to_string()
}

/// What content is called under SHA-512.
pub(crate) fn sha512(content: impl AsRef<[u8]>) -> String {
    Algorithm::Sha512.digest(content.as_ref()).to_string()
}

/// A descriptor of content.
pub(crate) fn descriptor(media_type: &str, content: impl AsRef<[u8]>) -> Value {
    let content = content.as_ref();
    json!({ "mediaType": media_type, "digest": sha256(content), "size": content.len() })
}

/// The bytes of an image manifest with these blobs as config and layers, and these other members.
pub(crate) fn image(config: &str, layers: &[&str], more: &Value) -> Vec<u8> {
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| descriptor(OCI_LAYER, layer))
        .collect();
    with(
        json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": descriptor(OCI_CONFIG, config),
            "layers": layers,
        }),
        more,
    )
}

/// The bytes of an index of these manifests, with these other members.
pub(crate) fn index(manifests: &[&[u8]], more: &Value) -> Vec<u8> {
    let manifests: Vec<_> = manifests
        .iter()
        .map(|one| descriptor(OCI_MANIFEST, one))
        .collect();
    with(
        json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests }),
        more,
    )
}

/// The bytes of a document with members added, replaced, or, where they are `null`, left out.
pub(crate) fn with(mut document: Value, more: &Value) -> Vec<u8> {
    let members = document.as_object_mut().expect("a document is an object");
    for (name, value) in more.as_object().into_iter().flatten() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    document.to_string().into_bytes()
}

/// A repository of a registry, with a connection to it.
pub(crate) struct Repository {
    pub(crate) server: Server,
    pub(crate) client: Client,
    pub(crate) name: String,
}

impl Repository {
    pub(crate) fn new(server: Server, name: &str) -> Self {
        // The names of tests are made of words and double underscores, which names of repositories
        // may have, but each word must begin and end with a letter or a digit.
        let name = format!("spec/{}", name.trim_matches('_').to_lowercase());
        Self {
            client: Client::new(server.address()),
            server,
            name,
        }
    }

    /// Another repository of the same registry.
    pub(crate) fn beside(&self, name: &str) -> Self {
        Self {
            client: Client::new(self.server.address()),
            server: self.server.clone(),
            name: format!("{}/{name}", self.name),
        }
    }

    /// A request for something below the repository's name.
    pub(crate) fn ask(&self, method: &str, rest: &str) -> Request<'_> {
        self.client
            .request(method, &format!("/v2/{}/{rest}", self.name))
    }

    pub(crate) fn get(&self, rest: &str) -> Response {
        self.ask("GET", rest).send()
    }

    pub(crate) fn head(&self, rest: &str) -> Response {
        self.ask("HEAD", rest).send()
    }

    pub(crate) fn delete(&self, rest: &str) -> Response {
        self.ask("DELETE", rest).send()
    }

    /// Starts an upload; the Location to go on at.
    #[track_caller]
    pub(crate) fn start(&self) -> String {
        self.start_with("")
    }

    /// Starts an upload with a query.
    #[track_caller]
    pub(crate) fn start_with(&self, query: &str) -> String {
        let started = self
            .ask("POST", &format!("blobs/uploads/{query}"))
            .send()
            .is(202);
        started.header("location").to_owned()
    }

    /// A request to a Location.
    pub(crate) fn at(&self, method: &str, location: &str) -> Request<'_> {
        let target = match location.strip_prefix("http://") {
            Some(rest) => rest.find('/').map_or("/", |at| &rest[at..]),
            None => location,
        };
        self.client.request(method, target)
    }

    /// Appends a chunk that says where it lies; the Location to go on at.
    #[track_caller]
    pub(crate) fn append(&self, location: &str, start: usize, chunk: &str) -> String {
        let range = format!("{start}-{}", start + chunk.len() - 1);
        let request = self.at("PATCH", location).header("Content-Range", range);
        let appended = octets(request).body(chunk).send().is(202);
        appended.header("location").to_owned()
    }

    /// A closing PUT.
    pub(crate) fn close(&self, location: &str, digest: &str) -> Request<'_> {
        octets(self.at("PUT", &and(location, &format!("digest={digest}"))))
    }

    /// Pushes a blob; its digest.
    #[track_caller]
    pub(crate) fn blob(&self, content: &str) -> String {
        let digest = sha256(content);
        let location = self.start();
        self.close(&location, &digest).body(content).send().is(201);
        digest
    }

    /// A push of a manifest.
    pub(crate) fn manifest(&self, reference: &str, bytes: impl AsRef<[u8]>) -> Request<'_> {
        let media_type = serde_json::from_slice::<Value>(bytes.as_ref())
            .ok()
            .and_then(|document| document["mediaType"].as_str().map(str::to_owned));
        let request = self.ask("PUT", &format!("manifests/{reference}"));
        let request = match media_type {
            Some(media_type) => request.header("Content-Type", media_type),
            None => request,
        };
        request.body(bytes)
    }

    /// Pushes an image of one layer under a tag; its bytes.
    #[track_caller]
    pub(crate) fn image(&self, tag: &str) -> Vec<u8> {
        let layer = format!("the layer of {tag}");
        self.blob("{}");
        self.blob(&layer);
        let bytes = image("{}", &[&layer], &json!({}));
        self.manifest(tag, &bytes).send().is(201);
        bytes
    }

    /// Pushes an empty index under a tag, different for each text; its digest.
    #[track_caller]
    pub(crate) fn tagged(&self, tag: &str, text: &str) -> String {
        let bytes = index(&[], &json!({ "annotations": { "text": text } }));
        self.manifest(tag, &bytes).send().is(201);
        sha256(bytes)
    }

    /// The digests in a list of referrers.
    #[track_caller]
    pub(crate) fn referrers(&self, subject: &str) -> BTreeSet<String> {
        let list = self.get(&format!("referrers/{subject}")).is(200).json();
        let manifests = list["manifests"].as_array().expect("a list").iter();
        manifests
            .map(|one| one["digest"].as_str().expect("a digest").to_owned())
            .collect()
    }
}

/// Adds a parameter to a target.
pub(crate) fn and(target: &str, parameter: &str) -> String {
    let sign = if target.contains('?') { '&' } else { '?' };
    format!("{target}{sign}{parameter}")
}

/// Marks a body as bytes.
pub(crate) fn octets(request: Request<'_>) -> Request<'_> {
    request.header("Content-Type", "application/octet-stream")
}
