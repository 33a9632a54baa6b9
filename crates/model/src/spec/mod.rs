//! The file: `antipode.yaml`.
