//! What anybody can send is taken apart on other threads: the one that answers everybody goes on meanwhile. Told by what
//! is asked of the allocator on that thread, which is the same on any machine.

use crate::logout::{ADDRESS, SLO, by_form, by_query, heard};
use crate::provider::{Bench, files, idp};
use crate::publisher::{Document, Publisher};
use crate::saml::{Key, LogoutRequest, NameId, Signature, redirect, sign};
use allocation_counter::{AllocationInfo, measure};
use countersign::upstream::LogoutHeard;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs it on one thread, beside a task that counts its steps. Gives the steps that this made, and what was allocated on
/// the thread.
fn beside<T>(work: impl Future<Output = T>) -> (T, usize, AllocationInfo) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let steps = Arc::new(AtomicUsize::new(0));
    let counted = steps.clone();
    runtime.spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::Relaxed);
            tokio::task::yield_now().await;
        }
    });
    let mut outcome = None;
    let allocated = measure(|| outcome = Some(runtime.block_on(work)));
    (outcome.unwrap(), steps.load(Ordering::Relaxed), allocated)
}

/// Elements that a schema lets stand there and nobody reads.
fn extensions(prefix: &str, count: usize, text: usize) -> String {
    let one = format!("<x:a xmlns:x=\"urn:x\">{}</x:a>", "x".repeat(text));
    format!("<{prefix}:Extensions>{}</{prefix}:Extensions>", one.repeat(count))
}

#[test]
fn the_largest_words_of_a_logout_hold_nobody_up() {
    let bench = Bench::new(SLO);
    let mut request: LogoutRequest =
        idp().logout(bench.now(), ADDRESS, NameId::persistent("alice"), &["_s1"]);
    let small = request.xml();
    let mut request_xml = small.clone();
    request_xml.insert_str(small.find("<saml:NameID").unwrap(), &extensions("samlp", 1_200, 140));
    request.more = String::new();
    assert!(request_xml.len() > 200_000, "{}", request_xml.len());
    for (name, message) in [
        ("redirect", by_query(&redirect("SAMLRequest", &request_xml, None, Some(&Key::rsa())))),
        ("form", by_form("SAMLRequest", &sign(&request_xml, &Signature::by(Key::rsa())), None)),
    ] {
        let (heard, steps, allocated) = beside(heard(&bench, &message));
        assert!(matches!(heard, Ok(LogoutHeard::Notice(_))), "{name}: {heard:?}");
        assert!(steps > 0, "{name}: nobody else had a turn");
        assert!(allocated.bytes_total < 1 << 20, "{name}: {allocated:?}");
    }
}

#[test]
fn large_metadata_hold_nobody_up() {
    let publisher = Publisher::start();
    let mut xml = idp().metadata().xml();
    let at = xml.find("<md:IDPSSODescriptor").unwrap();
    xml.insert_str(at, &extensions("md", 16_000, 50));
    let signed = sign(&xml, &Signature::by(Key::rsa_next()));
    assert!(signed.len() > 1 << 20, "{}", signed.len());
    // The count tells it where it is otherwise: what a file holds is read at the start, by whoever starts.
    let mut all = files();
    all.insert("file:acme.xml".to_owned(), signed.clone());
    let by_file = "metadata_file = \"acme.xml\"\nmetadata_certificates = [\"file:idp-next.pem\"]\n";
    let here = measure(|| assert!(crate::provider::build(by_file, &all).is_ok()));
    let url = publisher.put("/metadata", Document::Json(signed));
    let settings = format!("metadata_url = \"{url}\"\nmetadata_certificates = [\"file:idp-next.pem\"]\n");
    let bench = crate::provider::build(&settings, &files()).unwrap_or_else(|problems| panic!("{problems:?}"));
    let (begun, steps, allocated) = beside(bench.begin(|_| {}));
    begun.unwrap();
    assert!(steps > 0);
    // What comes from the network is gathered here, in a buffer that grows; no tree of it, and no copy.
    assert!(allocated.bytes_total < here.bytes_total / 2, "{allocated:?} {here:?}");
}
