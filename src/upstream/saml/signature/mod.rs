//! Two verifiers of XML signatures that must agree.
