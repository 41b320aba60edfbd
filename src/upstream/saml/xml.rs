//! Strict XML: well-formed to the last byte, bounded, and nothing in it that readers could see differently.
