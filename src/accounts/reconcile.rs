//! Reconciliation of assignments at sign-in (pure).
