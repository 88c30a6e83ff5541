//! The control plane: projects, their provisioning, entities of pooled projects.

pub mod bootstrap;
