use super::*;

fn parse(text: &str) -> Result<Element, MediaError> {
    Element::parse(text.as_bytes(), "the file")
}

#[test]
fn names_are_found_whatever_their_prefix_hyphens_and_case() {
    let vib = parse(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!-- note -->\n<v:vib xmlns:v=\"x\" Packed-Size=\"7\">\n  \
         <relative-path> a&amp;b&#x41;<![CDATA[<c>]]> </relative-path>\n  <relativePath>second</relativePath><e/>\n</v:vib>\n",
    )
    .unwrap();
    assert_eq!((vib.name.as_str(), vib.value(&["packedsize"])), ("vib", Some("7")));
    assert_eq!(vib.value(&["nothing", "relativepath"]), Some("a&bA<c>"));
    assert_eq!(vib.all("relativepath").count(), 2);
    assert_eq!((vib.value(&["e"]), vib.text.as_str()), (None, ""));
}

#[test]
fn entities_and_document_types_are_refused() {
    let bomb = "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\">]><l>&b;</l>";
    assert_eq!(parse(bomb).unwrap_err().refusal, Refusal::Unsupported);
    assert_eq!(
        parse("<!DOCTYPE l SYSTEM \"file:///etc/passwd\"><l/>").unwrap_err().refusal,
        Refusal::Unsupported
    );
    assert_eq!(parse("<l>&b;</l>").unwrap_err().refusal, Refusal::Unsupported);
    for bad in ["<l a=\"&b;\"/>", "<l>&#x110000;</l>", "<l>&#0;</l>", "<l a=1/>", "<l a=\"1\" a=\"2\"/>"] {
        assert!(parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn what_is_no_document_is_refused() {
    for bad in
        ["", " ", "text", "<a>", "<a><b></a>", "</a>", "<a/><b/>", "<a", "<a><!--", "<a><![CDATA[", "<?xml"]
    {
        assert_eq!(parse(bad).unwrap_err().refusal, Refusal::Malformed, "{bad}");
    }
    assert_eq!(Element::parse(b"<a>\xff</a>", "x").unwrap_err().refusal, Refusal::Malformed);
    assert_eq!(Element::parse(b"\xff\xfe<\0a\0/\0>\0", "x").unwrap_err().refusal, Refusal::Malformed);
}

#[test]
fn size_depth_number_and_attributes_are_limited() {
    let deep = format!("{}{}", "<a>".repeat(XML_DEPTH_MAX + 1), "</a>".repeat(XML_DEPTH_MAX + 1));
    let many = format!("<a>{}</a>", "<b/>".repeat(XML_ELEMENTS_MAX));
    let attributes: String = (0..=XML_ATTRIBUTES_MAX).map(|number| format!(" a{number}=\"\"")).collect();
    let long = format!("<a>{}</a>", "x".repeat(usize::try_from(XML_BYTES_MAX).unwrap()));
    let both = format!("<a>{}</a>", "<b a='' b='' c=''/>".repeat(XML_ELEMENTS_MAX / 3));
    for text in [deep, many, both, format!("<a{attributes}/>"), long] {
        assert_eq!(parse(&text).unwrap_err().refusal, Refusal::Limit);
    }
    let most = format!("{}{}", "<a>".repeat(XML_DEPTH_MAX), "</a>".repeat(XML_DEPTH_MAX));
    assert!(parse(&most).is_ok());
}
