use super::*;
use store::Revision;
use types::resource::HostMatch;

#[test]
fn what_was_changed_or_removed_since_it_was_read_is_not_overwritten() {
    let host = |name: &str, text: Option<&str>| {
        let mut host = Host::new(name.parse().unwrap(), HostMatch::default());
        host.location = text.map(str::to_owned);
        host
    };
    let owned = |host: Host, revision| {
        let owned = Owned { resource: host, owner: API_OWNER.to_owned(), revision: Revision(revision) };
        (owned.resource.name.clone(), owned)
    };
    let current = BTreeMap::from([owned(host("one", None), 7), owned(host("two", Some("a person")), 9)]);
    let write = |host: Host, if_revision| HostWrite { host, new: false, if_revision };
    let refused = |writes: &[HostWrite]| match stale(writes, &current) {
        None => None,
        Some(BackendError::Unexpected { name, current, .. }) => Some((name, current)),
        Some(other) => panic!("{other}"),
    };
    let read = write(host("one", Some("list")), Some(7));
    assert_eq!(refused(std::slice::from_ref(&read)), None);
    assert_eq!(
        refused(&[read, write(host("two", Some("list")), Some(8))]),
        Some(("two".to_owned(), Some(9)))
    );
    assert_eq!(refused(&[write(host("gone", None), Some(8))]), Some(("gone".to_owned(), None)));
    // Nothing of anybody's is lost.
    assert_eq!(refused(&[write(host("two", Some("a person")), Some(8))]), None);
    assert_eq!(refused(&[write(host("two", Some("list")), None), write(host("new", None), None)]), None);
}
