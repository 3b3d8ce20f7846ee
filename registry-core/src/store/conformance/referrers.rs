//! Rules of referrers.

use super::{
    Fault,
    bench::{Bench, Outcome, foreign, hold, manifest, referrer, repository, rules, same, tag},
};
use crate::{
    descriptor::Descriptor, digest::Digest, hash::Algorithm, media_type::MediaType, page::Page,
    store::ReferrersFilter,
};

rules! {
    referrers_are_listed_by_digest: "The referrers of a subject are listed in byte order of their digests.",
    referrers_say_what_they_are: "The descriptor of a referrer has the artifact type and the annotations of the manifest.",
    a_subject_need_not_exist: "Referrers are found whether or not the subject exists, under any grammatical digest.",
    referrers_are_of_one_repository: "Only the manifests of this repository are referrers.",
    referrers_have_pages: "A page of referrers has at most its limit, starts strictly after the digest given, and says whether there is more.",
    a_filter_leaves_out_other_types: "A filter lists only those of its artifact type, and pages are filled with them.",
    a_page_has_a_bound_of_bytes: "A page ends early rather than have more than max_bytes of descriptors, but has at least one.",
}

const SBOM: &str = "application/suite.sbom";
const SIGNATURE: &str = "application/suite.signature+json";

/// The referrers that are put: every third a signature, in byte order of their digests.
async fn filled(bench: &Bench, subject: &Digest) -> Result<Vec<Descriptor>, Fault> {
    let name = repository("suite/referrers");
    let mut wanted = Vec::new();
    for number in 0..12 {
        let artifact_type = if number % 3 == 0 { SIGNATURE } else { SBOM };
        let record = referrer(number, subject, artifact_type);
        bench.here.put(&name, &record, &[]).await?;
        wanted.push(record.descriptor);
    }
    wanted.sort_by(|a, b| a.digest.cmp(&b.digest));
    Ok(wanted)
}

/// All pages, from one to the next.
async fn follow(
    bench: &Bench,
    subject: &Digest,
    limit: usize,
    filter: &ReferrersFilter,
) -> Result<Vec<Vec<Descriptor>>, Fault> {
    let name = repository("suite/referrers");
    let (mut pages, mut page) = (Vec::new(), Page::first(limit));
    loop {
        let listed = bench
            .there
            .metadata
            .referrers(&name, subject, page, filter)
            .await?;
        hold!(
            listed.items.len() <= limit,
            "{} of {limit} referrers",
            listed.items.len()
        );
        let last = listed.items.last().map(|found| found.digest.to_string());
        pages.push(listed.items);
        hold!(pages.len() < 100, "the pages do not end");
        let Some(last) = last.filter(|_| listed.more) else {
            hold!(!listed.more, "an empty page says that there is more");
            return Ok(pages);
        };
        page = Page::first(limit).after(last);
    }
}

fn bytes(descriptors: &[Descriptor]) -> usize {
    let size = |found| serde_json::to_vec(found).map_or(0, |json| json.len());
    descriptors.iter().map(size).sum()
}

async fn referrers_are_listed_by_digest(bench: &Bench) -> Outcome {
    let subject = Algorithm::Sha256.digest(b"subject");
    let none = ReferrersFilter::none();
    same!(
        follow(bench, &subject, 10, &none).await?,
        vec![vec![]],
        "before there are any"
    );
    let wanted = filled(bench, &subject).await?;
    same!(
        follow(bench, &subject, 100, &none).await?,
        vec![wanted],
        "the referrers"
    );
    Ok(())
}

async fn referrers_say_what_they_are(bench: &Bench) -> Outcome {
    let subject = Algorithm::Sha256.digest(b"subject");
    let name = repository("suite/referrers");
    let record = referrer(7, &subject, SIGNATURE);
    bench.here.put(&name, &record, &["signature"]).await?;
    // Once more, and under another tag: it is one referrer all the same.
    bench.there.put(&name, &record, &["other"]).await?;
    let found = follow(bench, &subject, 10, &ReferrersFilter::none()).await?;
    same!(found, vec![vec![record.descriptor.clone()]], "the referrer");
    let descriptor = &found[0][0];
    let artifact_type = descriptor.artifact_type.as_ref().map(|name| name.as_str());
    same!(artifact_type, Some(SIGNATURE), "the artifact type");
    let annotations = descriptor.annotations.as_ref();
    let number = annotations
        .and_then(|all| all.get("suite.number"))
        .map(String::as_str);
    same!(number, Some("7"), "the annotation");
    let tagged = bench.there.metadata.tag(&name, &tag("signature")).await?;
    same!(
        tagged.as_ref(),
        Some(&descriptor.digest),
        "the tag of the referrer"
    );
    Ok(())
}

async fn a_subject_need_not_exist(bench: &Bench) -> Outcome {
    let name = repository("suite/referrers");
    let subject = bench.here.put(&name, &manifest(1), &["subject"]).await?;
    let absent = Algorithm::Sha512.digest(b"absent");
    let [blake, other] = foreign();
    for (number, subject) in [&subject, &absent, &blake, &other].into_iter().enumerate() {
        let record = referrer(number, subject, SBOM);
        bench.here.put(&name, &record, &[]).await?;
        let found = follow(bench, subject, 10, &ReferrersFilter::none()).await?;
        same!(
            found,
            vec![vec![record.descriptor]],
            "the referrers of {subject}"
        );
    }
    bench.here.metadata.delete_manifest(&name, &subject).await?;
    let found = follow(bench, &subject, 10, &ReferrersFilter::none()).await?;
    same!(
        found[0].len(),
        1,
        "the referrers of a subject that was deleted"
    );
    Ok(())
}

async fn referrers_are_of_one_repository(bench: &Bench) -> Outcome {
    let subject = Algorithm::Sha256.digest(b"subject");
    for other in ["suite", "suite/referrers/more", "suite/referrer", "other"].map(repository) {
        bench
            .here
            .put(&other, &referrer(1, &subject, SBOM), &[])
            .await?;
    }
    let none = ReferrersFilter::none();
    same!(
        follow(bench, &subject, 10, &none).await?,
        vec![vec![]],
        "the referrers"
    );
    Ok(())
}

async fn referrers_have_pages(bench: &Bench) -> Outcome {
    let subject = Algorithm::Sha256.digest(b"subject");
    let wanted = filled(bench, &subject).await?;
    let none = ReferrersFilter::none();
    for limit in [1, 5, 11, 12, 13, usize::MAX] {
        let pages = follow(bench, &subject, limit, &none).await?;
        same!(
            pages.len(),
            wanted.len().div_ceil(limit),
            "the number of pages of {limit}"
        );
        same!(pages.concat(), wanted, "pages of {limit}");
    }
    let name = repository("suite/referrers");
    for after in [
        "",
        "sha256:",
        "sha256:8",
        "sha256:zz",
        "sha512:",
        "z",
        "\u{e9}",
    ] {
        let page = Page::first(100).after(after);
        let listed = bench
            .there
            .metadata
            .referrers(&name, &subject, page, &none)
            .await?;
        let behind = |found: &&Descriptor| found.digest.as_str() > after;
        let wanted: Vec<_> = wanted.iter().filter(behind).cloned().collect();
        same!(
            (listed.items, listed.more),
            (wanted, false),
            "the referrers after {after:?}"
        );
    }
    let page = Page::first(0);
    let listed = bench
        .there
        .metadata
        .referrers(&name, &subject, page, &none)
        .await?;
    same!(listed.items, vec![], "a page of 0");
    Ok(())
}

async fn a_filter_leaves_out_other_types(bench: &Bench) -> Outcome {
    let subject = Algorithm::Sha256.digest(b"subject");
    let all = filled(bench, &subject).await?;
    for text in [SIGNATURE, SBOM, "application/unknown"] {
        let wanted: Vec<_> = (all.iter())
            .filter(|found| {
                found
                    .artifact_type
                    .as_ref()
                    .is_some_and(|own| own.as_str() == text)
            })
            .cloned()
            .collect();
        let artifact_type = MediaType::parse(text).map_err(|error| Fault(error.to_string()))?;
        let filter = ReferrersFilter::none().artifact_type(artifact_type);
        for limit in [1, 3, 100] {
            let pages = follow(bench, &subject, limit, &filter).await?;
            let number = wanted.len().div_ceil(limit).max(1);
            same!(pages.len(), number, "the number of pages of {limit} {text}");
            same!(pages.concat(), wanted, "the {text} in pages of {limit}");
        }
    }
    Ok(())
}

async fn a_page_has_a_bound_of_bytes(bench: &Bench) -> Outcome {
    let subject = Algorithm::Sha256.digest(b"subject");
    let wanted = filled(bench, &subject).await?;
    let one = bytes(&wanted[..1]);
    for max in [0, 1, one, one * 2 + one / 2, one * 5, usize::MAX] {
        let filter = ReferrersFilter::none().max_bytes(max);
        let pages = follow(bench, &subject, 100, &filter).await?;
        for page in &pages {
            let fits = page.len() == 1 || bytes(page) <= max;
            hold!(
                fits,
                "{} referrers with {} of {max} bytes",
                page.len(),
                bytes(page)
            );
        }
        same!(pages.concat(), wanted, "pages of {max} bytes");
    }
    let pages = follow(
        bench,
        &subject,
        100,
        &ReferrersFilter::none().max_bytes(one * 13),
    )
    .await?;
    hold!(
        pages.len() <= 2,
        "{} pages where one is enough",
        pages.len()
    );
    Ok(())
}
