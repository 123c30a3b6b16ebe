use super::*;

fn rule(name: &str, order: u32, when: &str) -> Rule {
    Rule { order, when: when.parse().unwrap(), ..Rule::new(name.parse().unwrap()) }
}

fn image(rule: Rule, image: &str) -> Rule {
    Rule { image: Some(image.parse().unwrap()), ..rule }
}

fn param(mut rule: Rule, key: &str) -> Rule {
    rule.params.insert(key.to_owned(), "x".to_owned());
    rule
}

#[test]
fn rules_are_asked_by_place_then_by_name() {
    let rules = Rules::new([rule("c", 20, ""), rule("b", 10, ""), rule("a", 20, ""), rule("b", 5, "")]);
    let names: Vec<String> = rules.iter().map(|rule| rule.name.to_string()).collect();
    assert_eq!(names, ["b", "a", "c"]);
    assert_eq!(rules.get("b").map(|rule| rule.order), Some(5));
}

#[test]
fn findings_name_what_never_decides_and_what_is_ambiguous() {
    let rules = Rules::new([
        image(rule("dell", 10, "vendor=Dell"), "a"),
        param(image(rule("r7", 20, "vendor=Dell,model~R7"), "b"), "ntp"),
        image(rule("dell-again", 30, "vendor=Dell"), "c"),
        image(rule("hp", 40, "vendor=HP"), "d"),
        image(rule("gen10", 40, "model~Gen10"), "e"),
        rule("nothing", 50, "vendor=HP"),
        param(rule("everything", 90, ""), "ntp"),
    ]);
    let found: Vec<String> =
        rules.findings().iter().map(|finding| format!("{} {finding}", finding.code())).collect();
    assert_eq!(
        found,
        [
            "R-RUL-04 rule `r7` never decides image: `dell` do",
            "R-RUL-02 rule `dell-again` never decides anything: `dell` do for all its machines",
            "R-RUL-01 rules `gen10` and `hp` both stand at 40 and both set image; `gen10` is asked first",
            "R-RUL-03 rule `nothing` sets nothing",
        ]
    );
}

/// Once it is in the group, the second rule is the first that means it.
#[test]
fn a_rule_about_a_group_that_is_given_in_between_is_reached() {
    let given = Rule { group: Some("lab".parse().unwrap()), ..rule("give", 20, "vendor=Dell") };
    let before = image(rule("before", 10, "group=lab"), "a");
    let rules = Rules::new([before.clone(), given, image(rule("behind", 30, "group=lab"), "b")]);
    assert_eq!(rules.findings(), []);
    let rules = Rules::new([before, image(rule("behind", 30, "group=lab"), "b")]);
    assert!(matches!(rules.findings()[..], [RuleFinding::Unreachable { .. }]));
}
