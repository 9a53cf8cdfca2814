//! What does a store answer whose files were damaged?
