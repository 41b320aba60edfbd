//! The shape of a message, before any signature is looked at.
