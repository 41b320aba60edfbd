//! What a sign-in gives and takes of groups and roles, and what its record says.

use super::Vouching;
use crate::accounts::reconcile::reconcile;
use crate::accounts::{Assignment, Provenance, Target};
use crate::ids::AccountId;
use crate::store::{StoreError, Tx};
use std::collections::BTreeSet;

/// Reconciles the groups and roles that this provider gives; what changed, for the audit record.
pub(super) fn assign(
    tx: &mut Tx<'_>,
    request: &Vouching,
    account: &AccountId,
) -> Result<serde_json::Value, StoreError> {
    let identity = &request.vouched.identity;
    let current: BTreeSet<Assignment> = tx.assignments_of(account)?.into_iter().collect();
    let changes = reconcile(&current, identity.provider(), identity.assignments());
    for assignment in &changes.remove {
        tx.remove_assignment(account, assignment)?;
    }
    for assignment in &changes.add {
        tx.add_assignment(account, assignment, request.now)?;
    }
    let names = |set: &BTreeSet<Assignment>| -> Vec<String> { set.iter().map(described).collect() };
    Ok(if changes.is_empty() {
        serde_json::Value::Null
    } else {
        serde_json::json!({ "assigned": names(&changes.add), "unassigned": names(&changes.remove) })
    })
}

/// The record of a sign-in: what it changed, and what was passed over in the provider's answer.
pub(super) fn changed_and_passed_over(
    changed: serde_json::Value,
    remarks: &BTreeSet<String>,
) -> serde_json::Value {
    if remarks.is_empty() {
        return changed;
    }
    let mut data = changed;
    if !data.is_object() {
        data = serde_json::json!({});
    }
    if let Some(data) = data.as_object_mut() {
        data.insert("remarks".to_owned(), serde_json::json!(remarks));
    }
    data
}

fn described(assignment: &Assignment) -> String {
    let target: &Target = &assignment.target;
    match &assignment.provenance {
        Provenance::Provider { rule, .. } => format!("{} {} ({rule})", target.kind(), target.name()),
        Provenance::Configuration | Provenance::Admin(_) => format!("{} {}", target.kind(), target.name()),
    }
}
