//! What a host record says of its power: [`types::resource::power`], under its usual name here.

pub use types::resource::power::*;
