//! The claims of the ID token (OIDC Core §2, §3.1.3.7).

use crate::bench::{Bench, row};

#[tokio::test]
async fn oidc_005_another_issuer() {
    row("OIDC-005").await;
}

#[tokio::test]
async fn oidc_006_no_subject() {
    row("OIDC-006").await;
}

#[tokio::test]
async fn oidc_007_for_somebody_else() {
    row("OIDC-007").await;
}

#[tokio::test]
async fn oidc_009_several_audiences_need_azp_and_azp_is_us() {
    row("OIDC-009").await;
}

#[tokio::test]
async fn oidc_010_without_times() {
    row("OIDC-010").await;
}

#[tokio::test]
async fn oidc_011_times_of_the_wrong_type() {
    row("OIDC-011").await;
}

#[tokio::test]
async fn oidc_013_times_far_away() {
    row("OIDC-013").await;
}

#[tokio::test]
async fn oidc_014_nonce_missing() {
    row("OIDC-014").await;
}

#[tokio::test]
async fn oidc_015_nonce_wrong() {
    row("OIDC-015").await;
}

#[tokio::test]
async fn oidc_034_at_hash_wrong() {
    row("OIDC-034").await;
}

#[tokio::test]
async fn oidc_035_c_hash_and_s_hash_wrong() {
    row("OIDC-035").await;
    let bench = Bench::oidc("");
    bench.standin.script().claims = Box::new(|claims| {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"csst_state");
        claims["s_hash"] = crate::standin::b64(&hash.as_ref()[..16]).into();
    });
    bench.signs_in().await;
}
