use super::limits::{OUTPUT_BYTES_MAX, TEMPLATE_BYTES_MAX};
use super::*;
use types::resource::TemplateKind::{self, *};

mod recipes;

const KINDS: [TemplateKind; 7] = [EsxiKickstart, Kickstart, Preseed, UserData, Json, Unattend, Text];
const BY_LINE: [TemplateKind; 3] = [EsxiKickstart, Kickstart, Preseed];

fn values(params: &[(&str, &str)]) -> Values {
    Values {
        host: Some("esx-1".to_owned()),
        params: params.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        ..Values::default()
    }
}

fn made(kind: TemplateKind, text: &str, params: &[(&str, &str)]) -> Result<String, TemplateFault> {
    compile("t", kind, text)?.render(&values(params))
}

#[track_caller]
fn fault(kind: TemplateKind, text: &str, params: &[(&str, &str)]) -> TemplateFault {
    match made(kind, text, params) {
        Ok(rendered) => panic!("{text} rendered: {rendered}"),
        Err(fault) => fault,
    }
}

#[test]
fn every_value_has_its_name() {
    let mut values = values(&[("ntp", "192.0.2.5")]);
    values.image = Some(ImageValues {
        name: "esxi-8".into(),
        kind: "esxi".into(),
        version: Some("8.0.3".into()),
        description: "lab".into(),
    });
    values.machine = MachineValues {
        mac: "52:54:00:12:34:56".parse().ok(),
        uuid: "11223344-5566-7788-99aa-bbccddeeff00".parse().ok(),
        serial: Some("S1".into()),
        asset: Some("A1".into()),
        vendor: Some("V".into()),
        model: Some("M".into()),
        firmware: Some(types::Firmware::UefiX64),
        address: "192.0.2.10".parse().ok(),
    };
    values.server = ServerValues { address: "192.0.2.1".parse().ok(), http: Some("http://192.0.2.1".into()) };
    values.boot = Some(BootValues { id: "b-1".into() });
    values.callback = Some("http://192.0.2.1/b/t".into());
    values.url = Some("http://192.0.2.1/ks".into());
    let text = "{{ host.name }} {{ host.params.ntp }} {{ params.ntp }} {{ params['ntp'] }}\n\
         {{ image.name }} {{ image.kind }} {{ image.version }} {{ image.description }}\n\
         {{ machine.mac }} {{ machine.mac_dashes }} {{ machine.uuid }} {{ machine.serial }} {{ machine.asset }} \
         {{ machine.vendor }} {{ machine.model }} {{ machine.firmware }} {{ machine.address }}\n\
         {{ server.address }} {{ server.http }} {{ boot.id }} {{ callback }}/up {{ url }}\n";
    let template = compile("t", Text, text).unwrap();
    assert_eq!(
        template.render(&values).unwrap(),
        "esx-1 192.0.2.5 192.0.2.5 192.0.2.5\n\
         esxi-8 esxi 8.0.3 lab\n\
         52:54:00:12:34:56 52-54-00-12-34-56 11223344-5566-7788-99aa-bbccddeeff00 S1 A1 V M uefi-x64 192.0.2.10\n\
         192.0.2.1 http://192.0.2.1 b-1 http://192.0.2.1/b/t/up http://192.0.2.1/ks\n"
    );
    let needs: Vec<&str> = template.needs().iter().map(String::as_str).collect();
    assert!(
        needs.contains(&"params.ntp") && needs.contains(&"machine.mac_dashes") && needs.contains(&"callback")
    );
    assert_eq!(template.check(&values), []);
}

#[test]
fn a_missing_variable_is_named_with_its_line_and_the_fix() {
    for kind in KINDS {
        let fault = fault(kind, "a\n  b {{ params.ntp }}\n", &[]);
        assert_eq!((fault.line, fault.column), (2, Some(8)), "{kind:?}");
        assert_eq!(fault.variable.as_deref(), Some("params.ntp"));
        assert_eq!(fault.to_string(), "template `t`, line 2: `params.ntp` is missing: host `esx-1` lacks it");
        assert_eq!(
            fault.fix.as_deref(),
            Some("set params.ntp on host `esx-1`, or write {{ params.ntp | default('…') }}")
        );
    }
}

#[test]
fn a_missing_variable_is_a_fault_in_every_expression() {
    for text in [
        "{{ params.x }}",
        "{{ params['x'] }}",
        "{{ host.params.x }}",
        "{{ params.x | upper }}",
        "{{ params.x | quote }}",
        "{{ params.x | b64 }}",
        "{{ params.x | json }}",
        "{{ params.x | split(',') | join(' ') }}",
        "{{ 'a' ~ params.x }}",
        "{% if params.x %}a{% endif %}",
        "{% if not params.x %}a{% endif %}",
        "{% for a in params.x | split(',') %}a{% endfor %}",
        "{% set a = params.x %}{{ a }}",
        "{{ 'a' if params.x else 'b' }}",
        "{% if params.x == 'a' %}a{% endif %}",
        "{% if params.x != 'a' %}a{% endif %}",
        "{% if 'a' == params.x %}a{% endif %}",
        "{% if params.x < 'a' %}a{% endif %}",
        "{% if 'a' in params.x %}a{% endif %}",
        "{% if params.x in ['a'] %}a{% endif %}",
        "{% if params.x is startingwith('a') %}a{% endif %}",
        "{% if params.x is in(['a']) %}a{% endif %}",
        "{% if params.x is eq('a') %}a{% endif %}",
        "{% if params.x and true %}a{% endif %}",
        "{{ params.x + 1 }}",
        "{{ params.x[1:2] }}",
        "{{ {'a': params.x} | json }}",
        "{{ ['a', params.x] | join }}",
        "{{ machine.serial }}",
        "{{ image.version }}",
        "{{ callback }}/up",
        "{{ boot.id }}",
        "{{ server.http }}",
    ] {
        let fault = fault(Text, text, &[]);
        assert!(fault.variable.is_some() && fault.fix.is_some(), "{text}: {fault:?}");
    }
}

#[test]
fn no_filter_takes_a_missing_variable_for_nothing() {
    for filter in filters::FILTERS.iter().filter(|filter| !matches!(**filter, "d" | "default")) {
        for text in [
            format!("{{{{ params.x | {filter} }}}}"),
            format!("{{% filter {filter} %}}{{{{ params.x }}}}{{% endfilter %}}"),
        ] {
            let fault = fault(Text, &text, &[]);
            // Some filters lack an argument here; what counts is that nothing was printed.
            if !fault.message.contains("argument") {
                assert_eq!(fault.variable.as_deref(), Some("params.x"), "{text}: {fault:?}");
            }
        }
    }
}

#[test]
fn a_name_with_a_hyphen_is_named_as_it_is_written() {
    let fault = fault(Text, "{{ params['ntp-server'] }}", &[]);
    assert_eq!(fault.variable.as_deref(), Some("params.ntp-server"));
    assert!(fault.message.starts_with("`params[\"ntp-server\"]` is missing"), "{fault}");
    assert_eq!(made(Text, "{{ params['ntp-server'] }}", &[("ntp-server", "a")]).unwrap(), "a");
}

#[test]
fn optional_variables_are_written_as_such() {
    let text = "{% if params.vlan is defined %}--vlanid={{ params.vlan }} {% endif %}{{ params.domain | default('lab') }}";
    assert_eq!(made(EsxiKickstart, text, &[]).unwrap(), "lab");
    assert_eq!(made(EsxiKickstart, text, &[("vlan", "5"), ("domain", "d")]).unwrap(), "--vlanid=5 d");
    assert_eq!(compile("t", EsxiKickstart, text).unwrap().check(&values(&[])), []);
    assert_eq!(compile("t", EsxiKickstart, text).unwrap().needs().len(), 2);
}

#[test]
fn check_tells_every_missing_variable_at_once() {
    let text =
        "{{ params.a }}\n{{ params.b | upper }}\n{{ params.a }}{{ machine.serial }}\n{{ params['c-d'] }}\n";
    let faults = compile("t", Text, text).unwrap().check(&values(&[("b", "x")]));
    let told: Vec<_> = faults.iter().map(|fault| (fault.line, fault.variable.as_deref().unwrap())).collect();
    assert_eq!(told, [(1, "params.a"), (3, "machine.serial"), (4, "params.c-d")]);
}

#[test]
fn no_value_adds_a_line_whatever_filters_it_passed() {
    let bad = ["a\nb", "a\r", "\u{1b}[2J", "a\u{85}b", "a\u{2028}b", "a\0", "a\u{c}b", "\tb"];
    for kind in BY_LINE {
        for value in bad {
            for text in [
                "{{ params.x }}",
                "{{ params.x | quote }}",
                "{{ params.x | upper }}",
                "{{ params.x | replace('a', 'c') }}",
                "{{ 'abc' | replace('b', params.x) }}",
                "{{ [params.x, 'c'] | join(' ') }}",
                "{{ ['b', 'c'] | join(params.x) }}",
                "{{ params.x ~ 'c' }}",
                "{{ params.x | default('d') }}",
                "{% set y %}{{ params.x }}{% endset %}{{ y }}",
                "{% macro m(v) %}{{ v }}{% endmacro %}{{ m(params.x) }}",
                "{% macro m() %}XX{% endmacro %}{{ m() | replace('XX', params.x) }}",
                "{% autoescape false %}{{ params.x }}{% endautoescape %}",
            ] {
                let Err(fault) = made(kind, text, &[("x", value)]) else {
                    panic!("{kind:?} {text} with {value:?} rendered")
                };
                assert!(fault.fix.is_some(), "{text}: {fault}");
            }
            for text in ["{{ params.x | b64 }}", "{{ params.x | json }}"] {
                let rendered = made(kind, text, &[("x", value)]).unwrap();
                assert!(!rendered.contains(char::is_control), "{text} {value:?}");
            }
        }
    }
}

#[test]
fn a_list_of_lines_is_gone_through() {
    let text = "{% for key in params.keys | lines %}\nkey {{ key }}\n{% endfor %}\n";
    assert_eq!(made(EsxiKickstart, text, &[("keys", "a b\nc d")]).unwrap(), "key a b\nkey c d\n");
}

#[test]
fn macros_and_blocks_keep_the_lines_of_the_template() {
    let text = "{% macro m(v) %}\na {{ v }}\nb\n{% endmacro %}\n{{ m(params.x) }}\n";
    assert_eq!(made(EsxiKickstart, text, &[("x", "1")]).unwrap(), "a 1\nb\n\n");
}

#[test]
fn json_values_stay_in_their_string() {
    let evil = "a\"}, \\ \n\u{7f}\u{2028}é";
    let text = r#"{"a": "{{ params.x }}", "b": {{ params.x | json }}, "c": {{ params.x | split(',') | json }}, "d": {{ 5 }}, "e": {{ none }}}"#;
    let rendered = made(Json, text, &[("x", evil)]).unwrap();
    let read: serde_json::Value = serde_json::from_str(&rendered).unwrap();
    assert_eq!(read["a"], evil);
    assert_eq!(read["b"], evil);
    assert_eq!(read["c"].as_array().unwrap().len(), 2);
    assert_eq!(read["d"], 5);
    assert!(read["e"].is_null());
}

#[test]
fn a_json_template_that_gives_no_json_is_a_fault() {
    let fault = fault(Json, "{\n  \"a\": {{ params.x }}\n}\n", &[("x", "word")]);
    assert!(fault.rendered);
    assert_eq!(fault.line, 2);
    assert_eq!(fault.to_string(), "template `t`, line 2 of the rendered text: the rendered text is no JSON");
}

#[test]
fn xml_values_stay_text() {
    let rendered =
        made(Unattend, "<a b=\"{{ params.x }}\">{{ params.x }}</a>", &[("x", "<&>\"'\n")]).unwrap();
    assert_eq!(rendered, "<a b=\"&lt;&amp;&gt;&quot;&apos;&#10;\">&lt;&amp;&gt;&quot;&apos;&#10;</a>");
    assert!(fault(Unattend, "<a>{{ params.x }}</a>", &[("x", "\u{1}")]).message.contains("XML"));
    assert_eq!(made(Unattend, "{{ params.x | xml }}", &[("x", "<")]).unwrap(), "&lt;");
}

#[test]
fn user_data_values_that_could_end_a_scalar_are_refused_or_quoted() {
    for bad in ["a\nb: c", "a: b", "a #b", "*x", "&x", "\"x", "it's", "a\\", "x:", " x", "{a}"] {
        let fault = fault(UserData, "k: {{ params.x }}\n", &[("x", bad)]);
        assert!(fault.fix.as_deref().unwrap().contains("| yaml"), "{bad}: {fault:?}");
        let quoted = made(UserData, "k: {{ params.x | yaml }}\n", &[("x", bad)]).unwrap();
        assert_eq!(quoted.lines().count(), 1, "{bad}");
        let read: serde_json::Value =
            serde_json::from_str(quoted.trim().strip_prefix("k: ").unwrap()).unwrap();
        assert_eq!(read, bad);
    }
    for good in ["$6$salt$hash/.x", "ssh-ed25519 AAAA user@host", "192.0.2.1,192.0.2.2", "http://192.0.2.1/x"]
    {
        assert_eq!(made(UserData, "{{ params.x }}", &[("x", good)]).unwrap(), good);
    }
    assert_eq!(made(UserData, "{{ params.x | quote }}", &[("x", "it's")]).unwrap(), "'it'\\''s'");
}

#[test]
fn filters_of_our_own() {
    for (text, value, wanted) in [
        ("{{ params.x | b64 }}", "", ""),
        ("{{ params.x | b64 }}", "f", "Zg=="),
        ("{{ params.x | b64 }}", "fo", "Zm8="),
        ("{{ params.x | b64 }}", "foo", "Zm9v"),
        ("{{ params.x | b64 }}", "foob", "Zm9vYg=="),
        ("{{ params.x | dashes }}", "52:54:00:12:34:56", "52-54-00-12-34-56"),
        ("{{ params.x | quote }}", "a'b $c", "'a'\\''b $c'"),
        ("{{ params.x | split(',') | join(' ') }}", "a,b", "a b"),
        ("{{ params.x | upper }}", "a", "A"),
        ("{{ params.x | int + 1 }}", "4", "5"),
        ("{{ params.x | split(',') | sort(reverse=true) | join }}", "a,c,b", "cba"),
    ] {
        assert_eq!(made(EsxiKickstart, text, &[("x", value)]).unwrap(), wanted, "{text}");
    }
}

#[test]
fn every_listed_filter_and_test_is_there() {
    let mut environment = Environment::empty();
    filters::install(&mut environment, Text);
    for filter in filters::FILTERS {
        let text = format!("{{{{ [] | {filter} }}}}");
        let told = environment.render_str(&text, ()).err().map(|error| error.kind());
        assert_ne!(told, Some(minijinja::ErrorKind::UnknownFilter), "{filter}");
    }
    for test in filters::TESTS {
        let text = format!("{{{{ 1 is {test} }}}}");
        let told = environment.render_str(&text, ()).err().map(|error| error.kind());
        assert_ne!(told, Some(minijinja::ErrorKind::UnknownTest), "{test}");
    }
}

#[test]
fn what_cannot_be_is_refused_when_it_is_compiled() {
    for (text, line, message, fix) in [
        ("a\n{{ params.x | uper }}", 2, "there is no filter `uper`", "did you mean `upper`?"),
        ("{{ params.x | safe }}", 1, "there is no filter `safe`", "values of kind text"),
        ("{% filter uper %}a{% endfilter %}", 1, "there is no filter `uper`", "did you mean `upper`?"),
        (
            "{% if a is defind %}{% endif %}{% set a = 1 %}",
            1,
            "there is no test `defind`",
            "did you mean `defined`?",
        ),
        ("\n\n{{ param.x }}", 3, "there is no variable `param.x`", "did you mean `params`?"),
        ("{{ ntp }}", 1, "there is no variable `ntp`", "written params.ntp"),
        ("{{ machine.mca }}", 1, "there is no variable `machine.mca`", "did you mean `machine.mac`?"),
        ("{{ callback.up }}", 1, "there is no variable `callback.up`", "is a text"),
        ("{{ debug() }}", 1, "there is no variable `debug`", "written params.debug"),
        ("{{ namespace() }}", 1, "there is no variable `namespace`", ""),
        ("{% include '/etc/passwd' %}", 1, "unknown statement include", "stands alone"),
        ("{% import 'a' as b %}", 1, "unknown statement import", "stands alone"),
        ("{% extends 'a' %}", 1, "unknown statement extends", "stands alone"),
        ("{# x #}a\nn=${#list[@]}\n", 2, "comment", "`{#` starts a comment"),
        ("a\n{% if %}", 2, "", "raw"),
        ("a\n{% if true %}", 2, "end of block", "{% endif %}"),
        ("a\n{{ params.x", 2, "", "raw"),
    ] {
        let fault = compile("t", Text, text).expect_err(text);
        assert_eq!(fault.line, line, "{text}: {fault:?}");
        assert!(fault.message.contains(message), "{text}: {fault:?}");
        assert!(fault.fix.as_deref().unwrap_or("").contains(fix), "{text}: {fault:?}");
    }
}

#[test]
fn what_can_be_is_not_refused() {
    for text in [
        "{% if params.a is defined %}{% set x = 1 %}{% else %}{% set x = 2 %}{% endif %}{{ x }}",
        "{% for i in range(3) %}{{ i }}{{ loop.index }}{% endfor %}",
        "{% for k, v in params | items %}{{ k }}={{ v }}{% endfor %}",
        "{% for k, v in params | dictsort %}{{ k }}={{ v }}{% endfor %}",
        "{# {{ nothing | here }} #}{% raw %}{{ x | y }} ${#a}{% endraw %}",
        "{{ {'a': {'b': 1}}['a'] | json }}",
        "{{ '}} | x' }}{{ \"{%\" }}",
        "{%- if 'a' is not defined -%}a{%- endif -%}",
        "{% with a = 1 %}{{ a }}{% endwith %}",
        "{{ '1' if params.a is defined }}",
    ] {
        compile("t", Text, text)
            .unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
            .render(&values(&[]))
            .unwrap();
    }
}

#[test]
fn time_memory_depth_and_sizes_are_bounded() {
    let loops = "{% for a in range(1000) %}{% for b in range(1000) %}x{% endfor %}{% endfor %}";
    assert!(fault(Text, loops, &[]).message.contains("steps"));
    let doubling = format!("{{% set x = 'a' * 1000 %}}{}", "{% set x = x ~ x %}".repeat(40));
    assert!(fault(Text, &doubling, &[]).message.contains("steps"));
    let replaced = "{{ ('a' * 100000) | replace('', 'b' * 100000) }}";
    assert!(fault(Text, replaced, &[]).message.contains("steps"));
    let captured =
        format!("{{% set x %}}{{% for a in range(9999) %}}{}{{% endfor %}}{{% endset %}}", "y".repeat(9999));
    assert!(fault(Text, &captured, &[]).message.contains("steps"));
    let deep = "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}";
    assert!(fault(Text, deep, &[]).message.contains("nested deeper"), "{:?}", fault(Text, deep, &[]));
    let nested = format!("{}1{}", "{% if 1 %}".repeat(5000), "{% endif %}".repeat(5000));
    assert!(compile("t", Text, &nested).is_err());
    let large = format!("{{% for a in range(20) %}}{}{{% endfor %}}", "y".repeat(OUTPUT_BYTES_MAX / 10));
    assert!(fault(Text, &large, &[]).message.contains("bytes"));
    assert!(compile("t", Text, &"x".repeat(TEMPLATE_BYTES_MAX + 1)).is_err());
    assert!(compile("t", Text, &"x".repeat(TEMPLATE_BYTES_MAX)).unwrap().render(&values(&[])).is_ok());
}

#[test]
fn a_fault_never_carries_a_value() {
    for text in [
        "{{ params.x }}",
        "{{ params.x | int }}",
        "{{ params.x + 1 }}",
        "{{ params.x | first | int }}",
        "{{ params.x.foo() }}",
        "{{ params.x.foo }}",
        "{{ params[params.x] }}",
        "{{ params.x | split(params.x, params.x) }}",
        "{{ params.x | join(',') }}",
        "{{ range(params.x) }}",
        "{% for a, b in params.x %}{% endfor %}",
        "{{ 1 is divisibleby(params.x) }}",
    ] {
        for kind in KINDS {
            if let Err(fault) = made(kind, text, &[("x", "SECRET\n")]) {
                assert!(!format!("{fault:?}").contains("SECRET"), "{text}: {fault:?}");
            }
        }
    }
}

#[test]
fn the_same_values_give_the_same_bytes() {
    let text = "{% for k, v in params | items %}{{ k }}={{ v }},{% endfor %}{{ params | json }}";
    let given = [("b", "2"), ("a", "1"), ("c", "3")];
    let first = made(Text, text, &given).unwrap();
    assert_eq!(first, "a=1,b=2,c=3,{\"a\": \"1\", \"b\": \"2\", \"c\": \"3\"}");
    assert_eq!(made(Text, text, &given).unwrap(), first);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "([a-z {}%#|'\"\n.\\-]|\\{\\{|\\}\\}|\\{%|%\\}|params|set|if|raw|endraw|é){0,40}") {
        for kind in KINDS {
            if let Ok(template) = compile("t", kind, &text) {
                let _ = template.check(&values(&[]));
            }
        }
    }

    #[test]
    fn no_value_adds_a_line_or_leaves_its_string(value in "\\PC{0,20}|[\\x00-\\x7f\u{80}-\u{9f}\u{2028}]{0,20}") {
        for kind in BY_LINE {
            if let Ok(text) = made(kind, "a {{ params.x }} b", &[("x", &value)]) {
                let ends_line = text.contains(|c: char| c.is_control() || c == '\u{2028}');
                proptest::prop_assert!(!ends_line);
            }
        }
        let text = made(Json, "{\"a\": \"{{ params.x }}\", \"b\": 1}", &[("x", &value)]).unwrap();
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        proptest::prop_assert_eq!(&read["a"], &value);
        proptest::prop_assert_eq!(&read["b"], 1);
    }
}
