//! What is applied, exported and owned, as the API shows it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use types::resource::{Name, ResourceKind, Resources, Template};

/// Owner of documents that name none.
pub const OWNER_DEFAULT: &str = "default";

/// `POST /resources:apply`: resources that are to be as they are here, all of them or none.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplyRequest {
    /// Whose they are: `ci` for `apply:ci`. Not `api`.
    #[serde(default = "owner_default")]
    pub owner: Name,
    /// Remove what this owner has and what is not here.
    #[serde(default)]
    pub prune: bool,
    /// Rules go into the working set only; without it they are put in force by the same revision.
    #[serde(default)]
    pub staged: bool,
    /// Take what the API owns and what is here over.
    #[serde(default)]
    pub take_over: bool,
    /// Refuse when anything that would be changed or removed was written after this revision of the store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_revision: Option<u64>,
    /// Tell of every change how the object was and how it becomes.
    #[serde(default)]
    pub details: bool,
    /// The resources.
    #[serde(default)]
    pub resources: Resources,
}

fn owner_default() -> Name {
    OWNER_DEFAULT.parse().expect("it is a name")
}

impl Default for ApplyRequest {
    fn default() -> ApplyRequest {
        ApplyRequest {
            owner: owner_default(),
            prune: false,
            staged: false,
            take_over: false,
            if_revision: None,
            details: false,
            resources: Resources::default(),
        }
    }
}

/// What was applied, or with `dry_run` would have been.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Applied {
    /// `apply:<name>`.
    pub owner: String,
    /// Nothing was changed because nothing was to be.
    pub dry_run: bool,
    /// False when everything was as it should be; no revision was made then.
    pub changed: bool,
    /// Revision of the store: the one that was made, or the one that was looked at.
    pub revision: u64,
    /// Number of the set of rules that was put in force, when the rules in force changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<u64>,
    /// Each kind.
    pub kinds: Vec<AppliedKind>,
    /// Every object that changes, in the order of kinds and names.
    pub changes: Vec<AppliedChange>,
    /// What an operator should look at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// How many of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct AppliedKind {
    /// Which.
    pub kind: ResourceKind,
    /// Were not there before.
    pub created: u64,
    /// Were otherwise, or another's, or a rule not in force as it stands.
    pub changed: u64,
    /// Are not there any more.
    pub removed: u64,
    /// Were as they should be.
    pub unchanged: u64,
}

/// One object that changes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AppliedChange {
    /// Its kind.
    pub kind: ResourceKind,
    /// Its name.
    pub name: Name,
    /// `created`, `changed`, `removed`; `taken-over` when only its owner changes, `activated` when only a rule comes into force.
    pub action: String,
    /// How it was, with `details`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// How it becomes, with `details`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// `GET /resources`: one object of any kind, in the order of kinds and names.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ResourceView {
    /// Its kind.
    pub kind: ResourceKind,
    /// `api`, `apply:<name>`, or `file:<path>:<line>`.
    pub managed_by: String,
    /// Revision of this object; 0 for what a file owns.
    pub revision: u64,
    /// The object itself.
    pub resource: Value,
}

/// `PUT /resources/{kind}/{name}/owner`
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnRequest {
    /// `api`, or the name of an owner of applied documents.
    pub owner: String,
}

/// Whose an object is now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OwnerChanged {
    /// Its kind.
    pub kind: ResourceKind,
    /// Its name.
    pub name: Name,
    /// Whose it was.
    pub before: String,
    /// Whose it is.
    pub owner: String,
    /// Revision of the object.
    pub revision: u64,
    /// False when it was theirs already.
    pub changed: bool,
}

/// A template as the API shows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TemplateView {
    /// The resource; its keys stand at the top level.
    #[serde(flatten)]
    pub template: Template,
    /// `apply:<name>`, `api`, or `file:<path>:<line>`.
    pub managed_by: String,
    /// Revision of this object; 0 for what a file owns.
    pub revision: u64,
    /// Hosts, groups, rules and images that name it.
    pub users: u64,
}
