//! What survives the loss of power.
//!
//! Killing a process loses nothing that was written, so it proves no sync. Here every change goes
//! through a port that records it, and the record is played to a model of the worst disk there is:
//! of a file it keeps what was there at its last sync, of a directory the names that were in it at
//! its last sync. At each point of a push the disk as it would be is made, opened, and must hold all
//! that had been answered by then. With any one sync left out it must not.

#![expect(clippy::unwrap_used, reason = "a test ends where it does not hold")]

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use registry_core::{
    Algorithm, ByteRange, ByteStream, Clock as _, Descriptor, Digest, Expect, MediaType, Page,
    RepositoryName, SystemClock, Tag,
    store::{BlobLink, ManifestRecord, StoredBlob, UploadId, UploadKey},
};
use registry_storage::fs::{
    FsStorage,
    disk::{Disk, RealDisk},
};

#[derive(Clone, Debug)]
enum Op {
    Create(PathBuf),
    Write(PathBuf, u64, Vec<u8>),
    SetLen(PathBuf, u64),
    SyncFile(PathBuf),
    SyncDirectory(PathBuf),
    Rename(PathBuf, PathBuf),
    MakeDirectory(PathBuf),
    Remove(PathBuf),
}

#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<Op>>);

impl Recorder {
    fn note(&self, op: Op) {
        self.0.lock().unwrap().push(op);
    }

    fn length(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Disk for Recorder {
    fn create(&self, path: &Path) -> io::Result<File> {
        let file = RealDisk.create(path)?;
        self.note(Op::Create(path.to_owned()));
        Ok(file)
    }

    fn write(&self, file: &File, path: &Path, at: u64, bytes: &[u8]) -> io::Result<()> {
        RealDisk.write(file, path, at, bytes)?;
        self.note(Op::Write(path.to_owned(), at, bytes.to_vec()));
        Ok(())
    }

    fn set_len(&self, file: &File, path: &Path, length: u64) -> io::Result<()> {
        RealDisk.set_len(file, path, length)?;
        self.note(Op::SetLen(path.to_owned(), length));
        Ok(())
    }

    fn sync_file(&self, file: &File, path: &Path) -> io::Result<()> {
        RealDisk.sync_file(file, path)?;
        self.note(Op::SyncFile(path.to_owned()));
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_directory(path)?;
        self.note(Op::SyncDirectory(path.to_owned()));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)?;
        self.note(Op::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn make_directory(&self, path: &Path) -> io::Result<()> {
        let result = RealDisk.make_directory(path);
        // One that is there already may have been made without the port; its name may be lost too.
        let there = matches!(&result, Err(error) if error.kind() == io::ErrorKind::AlreadyExists);
        if result.is_ok() || there {
            self.note(Op::MakeDirectory(path.to_owned()));
        }
        result
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_file(path)?;
        self.note(Op::Remove(path.to_owned()));
        Ok(())
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove_directory(path)?;
        self.note(Op::Remove(path.to_owned()));
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Directory,
    File(usize),
}

/// The worst disk: what is there, and what would be after the power went.
#[derive(Debug, Default)]
struct Model {
    /// Of each file the bytes now, and those at its last sync.
    files: Vec<(Vec<u8>, Vec<u8>)>,
    now: BTreeMap<PathBuf, Node>,
    kept: BTreeMap<PathBuf, Node>,
}

impl Model {
    fn play(ops: &[Op], without: Option<usize>) -> Self {
        let mut model = Self::default();
        for (index, op) in ops.iter().enumerate() {
            if Some(index) != without {
                model.apply(op);
            }
        }
        model
    }

    fn file(&mut self, path: &Path) -> Option<&mut (Vec<u8>, Vec<u8>)> {
        match self.now.get(path) {
            Some(Node::File(id)) => self.files.get_mut(*id),
            _ => None,
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Create(path) => {
                if !self.now.contains_key(path) {
                    self.files.push(Default::default());
                    self.now
                        .insert(path.clone(), Node::File(self.files.len() - 1));
                }
            }
            Op::Write(path, at, bytes) => {
                let at = usize::try_from(*at).unwrap();
                let Some((now, _)) = self.file(path) else {
                    return;
                };
                now.resize(now.len().max(at + bytes.len()), 0);
                now[at..at + bytes.len()].copy_from_slice(bytes);
            }
            Op::SetLen(path, length) => {
                let length = usize::try_from(*length).unwrap();
                if let Some((now, _)) = self.file(path) {
                    now.resize(length, 0);
                }
            }
            Op::SyncFile(path) => {
                if let Some((now, kept)) = self.file(path) {
                    kept.clone_from(now);
                }
            }
            Op::SyncDirectory(path) => {
                self.kept.retain(|name, _| name.parent() != Some(path));
                let inside = self
                    .now
                    .iter()
                    .filter(|(name, _)| name.parent() == Some(path));
                self.kept
                    .extend(inside.map(|(name, node)| (name.clone(), *node)));
            }
            Op::Rename(from, to) => {
                if let Some(node) = self.now.remove(from) {
                    self.now.insert(to.clone(), node);
                }
            }
            Op::MakeDirectory(path) => {
                self.now.insert(path.clone(), Node::Directory);
            }
            Op::Remove(path) => {
                self.now.remove(path);
            }
        }
    }

    /// Makes the disk as it would be, below `to`.
    fn make(&self, root: &Path, to: &Path) {
        for (name, node) in &self.kept {
            let path = to.join(name.strip_prefix(root).unwrap());
            if !path.parent().is_some_and(Path::is_dir) {
                continue;
            }
            match node {
                Node::Directory => fs::create_dir(path).unwrap(),
                Node::File(id) => fs::write(path, &self.files[*id].1).unwrap(),
            }
        }
    }
}

/// What was answered: it holds from there until something is done about it.
#[derive(Clone, Debug)]
struct Fact {
    from: usize,
    until: usize,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Blob(Digest, Bytes),
    Manifest(Digest, Option<Bytes>),
    Tag(&'static str, Option<Digest>),
}

fn name() -> RepositoryName {
    "team/app".parse().unwrap()
}

struct Push {
    store: FsStorage,
    disk: Arc<Recorder>,
    facts: Vec<Fact>,
}

impl Push {
    fn fact(&mut self, begun: usize, what: What) {
        for fact in &mut self.facts {
            let same = match (&fact.what, &what) {
                (What::Tag(a, _), What::Tag(b, _)) => a == b,
                (What::Manifest(a, _), What::Manifest(b, _)) => a == b,
                _ => false,
            };
            if same {
                fact.until = fact.until.min(begun);
            }
        }
        self.facts.push(Fact {
            from: self.disk.length(),
            until: usize::MAX,
            what,
        });
    }

    async fn blob(&mut self, id: &str, content: &'static [u8]) {
        let blobs = self.store.blobs();
        let key = UploadKey::new(name(), UploadId::parse(id).unwrap());
        let state = blobs.begin_upload(&key, Algorithm::Sha256).await.unwrap();
        let body = ByteStream::from(Bytes::from_static(content));
        let state = blobs.write_upload(&key, state, body).await.unwrap().state;
        let digest = Algorithm::Sha256.digest(content);
        blobs.commit_upload(&key, state, &digest).await.unwrap();
        let link = BlobLink::new(digest.clone(), Some(content.len() as u64));
        self.store
            .metadata()
            .link_blob(&name(), &digest, link)
            .await
            .unwrap();
        let begun = self.disk.length();
        self.fact(begun, What::Blob(digest, Bytes::from_static(content)));
    }

    async fn manifest(&mut self, annotation: &str, tags: &[&'static str]) -> Digest {
        let begun = self.disk.length();
        let text =
            format!(r#"{{"schemaVersion":2,"manifests":[],"annotations":{{"a":"{annotation}"}}}}"#);
        let bytes = Bytes::from(text);
        let digest = Algorithm::Sha256.digest(&bytes);
        let descriptor =
            Descriptor::new(MediaType::oci_index(), digest.clone(), bytes.len() as u64);
        let record = ManifestRecord::new(descriptor, bytes.clone(), SystemClock.now());
        let set: Vec<_> = tags
            .iter()
            .map(|tag| (Tag::parse(tag).unwrap(), Expect::Any))
            .collect();
        self.store
            .metadata()
            .put_manifest(&name(), record, &set)
            .await
            .unwrap();
        self.fact(begun, What::Manifest(digest.clone(), Some(bytes)));
        for tag in tags {
            self.fact(begun, What::Tag(tag, Some(digest.clone())));
        }
        digest
    }

    async fn untag(&mut self, tag: &'static str) {
        let begun = self.disk.length();
        let parsed = Tag::parse(tag).unwrap();
        self.store
            .metadata()
            .delete_tag(&name(), &parsed, &Expect::Any)
            .await
            .unwrap();
        self.fact(begun, What::Tag(tag, None));
    }

    async fn delete(&mut self, digest: &Digest, tag: &'static str) {
        let begun = self.disk.length();
        self.store
            .metadata()
            .delete_manifest(&name(), digest)
            .await
            .unwrap();
        self.fact(begun, What::Manifest(digest.clone(), None));
        self.fact(begun, What::Tag(tag, None));
    }
}

/// What is wrong with the disk as it would be after `ops`.
async fn fault(root: &Path, model: &Model, facts: &[Fact], at: usize) -> Option<String> {
    let image = tempfile::tempdir().unwrap();
    model.make(root, image.path());
    let store = FsStorage::open(image.path()).unwrap();
    let (blobs, metadata) = (store.blobs(), store.metadata());
    for fact in facts
        .iter()
        .filter(|fact| fact.from <= at && at <= fact.until)
    {
        let holds = match &fact.what {
            What::Blob(digest, content) => {
                let linked = metadata.blob_link(&name(), digest).await.unwrap().is_some();
                linked && read(&*blobs, digest).await.as_ref() == Some(content)
            }
            What::Manifest(digest, content) => {
                let found = metadata.manifest(&name(), digest).await.ok().flatten();
                found.map(|found| found.bytes) == *content
            }
            What::Tag(tag, target) => {
                metadata
                    .tag(&name(), &Tag::parse(tag).unwrap())
                    .await
                    .unwrap()
                    == *target
            }
        };
        if !holds {
            return Some(format!("after {at} steps: {fact:?}"));
        }
    }
    let stored: Vec<StoredBlob> = blobs.list().try_collect().await.unwrap();
    for StoredBlob { digest, .. } in stored {
        let content = read(&*blobs, &digest).await.unwrap_or_default();
        if Algorithm::Sha256.digest(&content) != digest {
            return Some(format!("after {at} steps: {digest} has other bytes"));
        }
    }
    for tag in metadata
        .tags(&name(), Page::first(100))
        .await
        .unwrap()
        .items
    {
        let digest = metadata.tag(&name(), &tag).await.unwrap();
        let digest = digest.expect("a tag that is listed is there");
        if !matches!(metadata.manifest(&name(), &digest).await, Ok(Some(_))) {
            return Some(format!("after {at} steps: {tag} without its manifest"));
        }
    }
    None
}

async fn read(blobs: &dyn registry_core::store::BlobStore, digest: &Digest) -> Option<Bytes> {
    let blob = blobs.open(digest).await.unwrap()?;
    let pieces: Vec<Bytes> = blob
        .source
        .read(ByteRange::whole(blob.size))
        .try_collect()
        .await
        .ok()?;
    Some(pieces.concat().into())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_the_loss_of_power_and_needs_every_sync() {
    let root = tempfile::tempdir().unwrap();
    let disk = Arc::new(Recorder::default());
    let store = FsStorage::builder()
        .disk(Arc::clone(&disk) as _)
        .open(root.path())
        .unwrap();
    let mut push = Push {
        store,
        disk: Arc::clone(&disk),
        facts: Vec::new(),
    };
    push.blob("u1", b"a layer of some bytes").await;
    push.blob("u2", b"a config").await;
    push.manifest("one", &["v1", "latest"]).await;
    push.manifest("two", &["latest"]).await;
    let third = push.manifest("three", &["gone"]).await;
    push.delete(&third, "gone").await;
    // The tag must not come back with the manifest.
    push.manifest("three", &[]).await;
    push.untag("v1").await;
    // Present already, published by somebody else: still only answered when it is durable.
    push.blob("u3", b"a config").await;

    let ops = disk.0.lock().unwrap().clone();
    for at in 0..=ops.len() {
        let model = Model::play(&ops[..at], None);
        let fault = fault(root.path(), &model, &push.facts, at).await;
        assert_eq!(fault, None);
    }

    let mut ends: Vec<usize> = push.facts.iter().map(|fact| fact.from).collect();
    ends.dedup();
    let mut needed = 0;
    for (index, op) in ops.iter().enumerate() {
        let (Op::SyncFile(path) | Op::SyncDirectory(path)) = op else {
            continue;
        };
        if is_history(path, &ops[index..])
            || is_idle(&ops, index)
            || is_repeated(&ops, index, &ends)
        {
            continue;
        }
        let mut noticed = false;
        for at in ends.iter().filter(|at| **at > index) {
            let model = Model::play(&ops[..*at], Some(index));
            noticed |= fault(root.path(), &model, &push.facts, *at).await.is_some();
        }
        assert!(noticed, "nothing needs step {index}: {op:?}");
        needed += 1;
    }
    assert!(needed >= 20, "only {needed} syncs are needed");
}

/// Whether it belongs to the history of a tag or to the temporary files, which nobody is promised:
/// Distribution reads the history, so it is kept whole all the same.
fn is_history(path: &Path, then: &[Op]) -> bool {
    let of = |path: &Path| path.components().any(|part| part.as_os_str() == "index");
    let renamed = then.iter().find_map(|op| match op {
        Op::Rename(from, to) if from == path => Some(to),
        _ => None,
    });
    of(path) || renamed.is_some_and(|to| of(to)) || path.ends_with("_registry")
}

/// Whether everything was durable already: what somebody else published is synced again, for they
/// may not have.
fn is_idle(ops: &[Op], index: usize) -> bool {
    let (before, after) = (
        Model::play(&ops[..index], None),
        Model::play(&ops[..=index], None),
    );
    let kept = |model: &Model| {
        model
            .files
            .iter()
            .map(|(_, kept)| kept.clone())
            .collect::<Vec<_>>()
    };
    before.kept == after.kept && kept(&before) == kept(&after)
}

/// Whether the same is synced again before anything is answered.
fn is_repeated(ops: &[Op], index: usize, ends: &[usize]) -> bool {
    let answered = ends
        .iter()
        .copied()
        .find(|end| *end > index)
        .unwrap_or(ops.len());
    let same = |op: &Op| match (op, &ops[index]) {
        (Op::SyncDirectory(a), Op::SyncDirectory(b)) => a == b,
        _ => false,
    };
    ops[index + 1..answered].iter().any(same)
}
