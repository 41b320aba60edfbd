//! The revocation endpoint (RFC 7009): a client gives back what was issued to it.

use crate::audit::{Actor, AuditEvent, AuditKind};
use crate::failure::Failure;
use crate::flow::discovery::paths;
use crate::flow::{App, authentication, bearer};
use crate::jose::Expiry;
use crate::protocol::{Parameters, token::token_parameter};
use crate::store::StoreError;
use crate::tokens::handle::{Handle, Refresh};

/// Revokes a token of the client that asks. A refresh token ends its whole grant (RFC 7009 §2.1), an access
/// token only itself. A token that is unknown, another client's or worthless already is no error (§2.2), and
/// nothing happens to it.
///
/// # Errors
/// `invalid_client`; `invalid_request` without a token; `temporarily_unavailable` when the store fails: then
/// the token still counts (OAUTH-074).
pub async fn revoke(app: &App, authorization: Option<&str>, form: &Parameters<'_>) -> Result<(), Failure> {
    let snapshot = app.now();
    let client = authentication::client(app, &snapshot, authorization, form, paths::REVOKE).await?;
    let token = token_parameter(form)?;
    let now = app.context.now();
    let event = AuditEvent::new(now, AuditKind::TokenRevoked, Actor::Client(client.id.clone()));
    let event = event.client(&client.id);
    if let Some(handle) = Handle::<Refresh>::parse(&token) {
        let digest = handle.digest();
        return app
            .store
            .write(move |tx| -> Result<(), StoreError> {
                let Some(record) = tx.refresh(&digest)?.filter(|record| record.client == client.id) else {
                    return Ok(());
                };
                if tx.revoke_grant(&record.grant, now)? {
                    let mut event = AuditEvent { kind: AuditKind::GrantRevoked, ..event };
                    event.account = tx.grant(&record.grant)?.map(|grant| grant.account);
                    tx.append_audit(&event.reason("client.revoked"))?;
                }
                Ok(())
            })
            .await
            .map_err(Failure::from);
    }
    let Ok(verified) = bearer::verify(&snapshot, &token, now, Expiry::Enforced) else { return Ok(()) };
    if verified.client.id != client.id {
        return Ok(());
    }
    app.store
        .write(move |tx| -> Result<(), StoreError> {
            let expires_at = crate::context::Timestamp::from_secs(verified.claims.exp);
            if tx.revoke_jti(&verified.claims.jti, expires_at)? {
                let mut event = event;
                event.account = match &verified.grant {
                    Some(grant) => tx.grant(grant)?.map(|grant| grant.account),
                    None => None,
                };
                tx.append_audit(&event.reason("client.revoked"))?;
            }
            Ok(())
        })
        .await
        .map_err(Failure::from)
}
