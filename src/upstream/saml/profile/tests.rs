//! The checks of the profile, one at a time and together.
