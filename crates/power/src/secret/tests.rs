use super::*;
use std::path::PathBuf;

fn file(text: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    (folder, path)
}

async fn read_file(text: &[u8], mode: u32) -> Result<Secret, SecretError> {
    let (_folder, path) = file(text, mode);
    read(&SecretRef::File(path)).await
}

#[test]
fn nothing_shows_a_secret() {
    let secret = Secret::new("hunter2");
    let shown =
        format!("{secret} {secret:?} {:?} {}", Some(&secret), serde_json::to_string(&secret).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(secret.expose(), "hunter2");
}

#[tokio::test]
async fn one_line_of_a_private_file_is_a_secret() {
    for (text, secret) in [
        (&b"hunter2"[..], "hunter2"),
        (b"hunter2\n", "hunter2"),
        (b"hunter2\r\n", "hunter2"),
        (b" with blanks \n", " with blanks "),
        ("pässwörd\n".as_bytes(), "pässwörd"),
    ] {
        assert_eq!(read_file(text, 0o600).await.unwrap().expose(), secret);
    }
    assert!(read_file(b"x", 0o640).await.is_ok());
}

#[tokio::test]
async fn what_is_no_secret_is_refused_by_its_place_and_never_shown() {
    let long = vec![b'x'; SECRET_BYTES_MAX + 1];
    for (text, mode, said) in [
        (&b"hunter2"[..], 0o644, "everybody on this machine may read it (mode 644)"),
        (b"", 0o600, "it is empty"),
        (b"\n", 0o600, "it is empty"),
        (b"hunter2\nhunter3\n", 0o600, "it is not one line of text"),
        (b"hunter2\0", 0o600, "it is not one line of text"),
        (b"hunter2\xff", 0o600, "it is not one line of text"),
        (&long, 0o600, "it is larger than 4096 bytes"),
    ] {
        let error = read_file(text, mode).await.unwrap_err();
        assert_eq!(error.source.to_string(), said);
        let shown = format!("{error} {error:?} {} {}", error.source, error.fix());
        assert!(!shown.contains("hunter") && error.to_string().contains("the file /"), "{shown}");
    }
    let folder = tempfile::tempdir().unwrap();
    let none = read(&SecretRef::File(folder.path().join("none"))).await.unwrap_err();
    assert!(matches!(none.source, SecretFault::Read(_)) && none.fix().contains("may read it"));
    let folder = read(&SecretRef::File(folder.path().to_owned())).await.unwrap_err();
    assert!(matches!(folder.source, SecretFault::NoFile));
    let unset = read(&SecretRef::Env("REVEILLE_NO_SUCH_SECRET".into())).await.unwrap_err();
    assert!(unset.fix().contains("set REVEILLE_NO_SUCH_SECRET"), "{}", unset.fix());
    // Every test runner sets it.
    assert!(read(&SecretRef::Env("PATH".into())).await.is_ok());
}
