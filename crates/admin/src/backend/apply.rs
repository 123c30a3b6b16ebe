//! Applied documents, owners and templates behind the routes.

use super::{BackendError, ListPage};
use crate::view::{Applied, ApplyRequest, OwnerChanged, ResourceView, TemplateView};
use types::resource::{Name, Owner, ResourceKind};

/// What the daemon does with resources of all kinds together. A daemon without them says so.
pub trait Applies: Send + Sync {
    /// Makes resources what they are here, in one revision, or changes nothing.
    ///
    /// # Errors
    /// When one belongs to somebody else, the whole makes no catalog, it is too large, or the commit fails.
    fn apply(&self, _request: ApplyRequest, _dry_run: bool) -> Result<Applied, BackendError> {
        Err(absent())
    }

    /// Every object that the store or a file has, in the order of kinds and names.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn resources(&self) -> Result<ListPage<ResourceView>, BackendError> {
        Err(absent())
    }

    /// Gives an object of the store to another owner.
    ///
    /// # Errors
    /// When there is none such, a file owns it, or the commit fails.
    fn own(&self, _kind: ResourceKind, _name: &Name, _to: &Owner) -> Result<OwnerChanged, BackendError> {
        Err(absent())
    }

    /// Templates by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn templates(&self) -> Result<ListPage<TemplateView>, BackendError> {
        Err(absent())
    }

    /// One template.
    ///
    /// # Errors
    /// When there is none such.
    fn template(&self, _name: &Name) -> Result<TemplateView, BackendError> {
        Err(absent())
    }
}

fn absent() -> BackendError {
    BackendError::Internal("this daemon applies nothing".to_owned())
}
