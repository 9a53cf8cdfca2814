//! Do limits hold?
