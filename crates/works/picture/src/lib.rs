//! Pictures made smaller.
