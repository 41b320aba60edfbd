use super::*;
use proptest::prelude::*;
use serde_json::json;

fn object(value: Json) -> Map<String, Json> {
    let Json::Object(object) = value else { panic!("not an object") };
    object
}

fn holds(expression: &str, claims: Json) -> bool {
    let rule = rule("r", Target::Group(GroupName::new("g").unwrap()), expression);
    let mapping = Mapping { rules: vec![rule], ..Mapping::default() };
    !mapping.apply(&object(claims)).unwrap().assignments.is_empty()
}

fn rule(name: &str, target: Target, when: &str) -> Rule {
    Rule { rule: name.to_owned(), target, when: Expression::new(when).unwrap() }
}

#[test]
fn rules_assign_and_name_themselves() {
    let group = Target::Group(GroupName::new("engineers").unwrap());
    let role = Target::Role(RoleName::new("editor").unwrap());
    let mapping = Mapping {
        rules: vec![
            rule("engineering", group.clone(), "'engineering' in claims.groups"),
            rule("also", group.clone(), "true"),
            rule("staff", role.clone(), "claims.staff"),
        ],
        ..Mapping::default()
    };
    let mapped = mapping.apply(&object(json!({"groups": ["a", "engineering"], "staff": 1}))).unwrap();
    assert_eq!(mapped.assignments, BTreeMap::from([(group, "engineering".to_owned())]));
    assert_eq!(mapping.reads(), BTreeSet::from(["groups", "staff"]));
}

#[test]
fn only_true_counts() {
    assert!(holds("claims.a", json!({"a": true})));
    for other in [json!("true"), json!(1), json!([true]), json!({"a": 1}), json!(null), json!(false)] {
        assert!(!holds("claims.a", json!({"a": other})), "{other}");
    }
}

#[test]
fn in_never_looks_for_a_part_of_a_text() {
    for expression in [
        "'admin' in claims.group",
        "'admin' in claims['group']",
        "'admin' in list(claims.group)",
        "claims.x in claims.group",
    ] {
        assert!(!holds(expression, json!({"group": "not-admins", "x": "admin"})), "{expression}");
        assert!(holds(expression, json!({"group": "admin", "x": "admin"})), "{expression}");
        assert!(holds(expression, json!({"group": ["b", "admin"], "x": "admin"})), "{expression}");
        assert!(!holds(expression, json!({"group": {"admin": true}, "x": "admin"})), "{expression}");
    }
    assert!(holds("claims.a in ['x', 'y']", json!({"a": "y"})));
    assert!(holds("'a' not in claims.groups", json!({"groups": ["b"]})));
    assert!(holds("'a' in claims.groups and 'b' in claims.groups", json!({"groups": ["b", "a"]})));
}

#[test]
fn what_is_missing_gives_nothing_unless_a_default_stands_there() {
    assert!(!holds("claims.a == 'x' or true", json!({})));
    assert!(!holds("not claims.a", json!({})));
    assert!(!holds("claims.a.b.c", json!({"a": 1})));
    assert!(holds("claims.a | default('') == 'x' or true", json!({})));
    assert!(holds("claims.a is undefined", json!({})));
}

#[test]
fn errors_say_where() {
    for (text, at) in [
        ("", 0..0),
        ("claim.x", 0..5),
        ("claims.x and clams.y", 13..18),
        ("claims.x | lenght", 11..17),
        ("claims.x is odd", 12..15),
        ("claims.x in 'admins'", 12..20),
        ("claims.x * 9", 9..10),
        ("range(9)", 0..5),
        ("claims.x.upper()", 9..14),
        ("claims.x == 'open", 12..17),
        ("'a' in claims.b | first", 16..17),
        ("'\\n' == claims.a", 1..2),
        ("'a' == '\\n'", 8..9),
        ("'\\n", 1..2),
        ("claims(1)", 0..6),
        ("list == 1", 0..4),
    ] {
        let error = Expression::new(text).unwrap_err();
        assert_eq!(error.range, at, "{text}: {error}");
    }
    for text in ["claims.", "claims.x ==", "(claims.x", "'a' in", "claims.x claims.y", "not"] {
        assert!(Expression::new(text).is_err(), "{text}");
    }
    assert!(Expression::new("(".repeat(1500)).is_err());
    assert!(Expression::new("x".repeat(3000)).is_err());
}

#[test]
fn errors_say_what() {
    for (text, words) in [
        ("clams.y", "no name `clams`"),
        ("list == 1", "no name `list`"),
        ("clams(1)", "no function `clams`"),
        ("claims(1)", "no function `claims`"),
        ("'a' == claims.b \\", "`\\` has no place"),
        ("'a\\' == claims.b", "no backslash"),
        ("'a == claims.b", "not closed"),
        (" ", "is empty"),
        ("'a' in claims['b'", "`[` is not closed"),
        ("'a' in list(claims.b", "`(` is not closed"),
        ("'a' in list(claims.b]", "`(` is not closed"),
        ("'a' in list('b' in claims.c)", "one `in` inside another"),
        ("'a' in", "missing after `in`"),
        ("'a' in 'b'", "a claim or a list"),
        ("'a' in claims.b ~ 'c'", "a claim or a list alone"),
        ("'a' in claims.b | list", "a claim or a list alone"),
    ] {
        let error = Expression::new(text).unwrap_err();
        assert!(error.message.contains(words), "{text}: {error}");
    }
}

#[test]
fn expressions_are_the_same_by_their_text() {
    let expression = |text: &str| Expression::new(text).unwrap();
    assert_eq!(expression("claims.a"), expression("claims.a"));
    assert_ne!(expression("claims.a"), expression("claims.b"));
}

#[test]
fn an_expression_has_a_length() {
    let most = format!("true{}", " ".repeat(1996));
    assert!(Expression::new(most.clone()).is_ok());
    assert_eq!(Expression::new(format!("{most} ")).unwrap_err().range, 0..2001);
}

#[test]
fn what_is_split_is_a_text_of_bounded_length() {
    let split = |claim: &str, by: &str| {
        holds(&format!("claims.a | split('{by}') | last == 'z'"), json!({"a": claim}))
    };
    assert!(split("x,y,z", ","));
    assert!(!split("x,y,z", ";"));
    assert!(!holds("claims.a | split('') | length > 0", json!({"a": "xyz"})), "nothing to split by");
    assert!(holds("claims.a | split('-') | length > 0", json!({"a": "xyz"})));
    let most = format!("{},z", "x".repeat(64 * 1024 - 2));
    assert!(split(&most, ","));
    assert!(!split(&format!("x{most}"), ","));
}

#[test]
fn nothing_is_an_empty_list_and_anything_else_a_list_of_one() {
    assert!(holds("list(claims.a) | length == 0", json!({"a": null})));
    assert!(holds("list(claims.a) | length == 1", json!({"a": "x"})));
    assert!(holds("list(claims.a) | length == 2", json!({"a": ["x", "y"]})));
}

#[test]
fn link_043_what_is_not_mapped_gives_nothing() {
    let claims = json!({
        "roles": ["admin"], "groups": ["admins"], "permissions": ["*"], "admin": true, "sub": "victim",
        "iss": "https://evil.test", "email_verified": true, "name": "Mallory"
    });
    let mapped = Mapping::default().apply(&object(claims)).unwrap();
    assert_eq!(mapped.assignments, BTreeMap::new());
    let profile = Profile { name: Some("Mallory".to_owned()), ..Profile::default() };
    assert_eq!(mapped, Mapped { profile, passes_filter: true, ..Mapped::default() });
}

#[test]
fn profile_fields_are_texts_that_pages_can_show() {
    let claims = json!({
        "name": " Alice ", "given_name": ["A"], "nickname": "a\u{0}b", "locale": {"country": "DE"},
        "zoneinfo": "Europe/Berlin", "picture": "javascript:alert(1)", "family_name": "x".repeat(256), "email": 7
    });
    let mapped = Mapping::default().apply(&object(claims)).unwrap();
    let expected = Profile {
        name: Some("Alice".to_owned()),
        zoneinfo: Some("Europe/Berlin".to_owned()),
        ..Profile::default()
    };
    assert_eq!((mapped.profile, mapped.email), (expected, None));
}

#[test]
fn profile_fields_can_come_from_elsewhere_or_not_at_all() {
    let source = |text: &str| ProfileSource::From(Expression::new(text).unwrap());
    let mapping = Mapping {
        profile: BTreeMap::from([
            (Field::Name, source("claims.first ~ ' ' ~ claims.last")),
            (Field::Nickname, ProfileSource::Off),
            (Field::Email, source("claims.mails | first")),
        ]),
        ..Mapping::default()
    };
    let claims = json!({"first": "A", "last": "B", "name": "x", "nickname": "n", "mails": ["a@x.test"]});
    let mapped = mapping.apply(&object(claims)).unwrap();
    assert_eq!(mapped.profile, Profile { name: Some("A B".to_owned()), ..Profile::default() });
    assert_eq!(mapped.email.as_deref(), Some("a@x.test"));
}

#[test]
fn an_address_is_read_part_by_part() {
    let source = |text: &str| ProfileSource::From(Expression::new(text).unwrap());
    let claims = json!({"address": {"locality": "Bonn", "country": "DE", "planet": "Earth", "region": 7},
        "phone_number": "+49 228 1234567", "phone_number_verified": true, "plz": "53111"});
    let mapped = Mapping::default().apply(&object(claims.clone())).unwrap();
    let locality = Some("Bonn".to_owned());
    let address = Address { locality, country: Some("DE".to_owned()), ..Address::default() };
    let phone_number = Some("+49 228 1234567".to_owned());
    let expected = Profile { address: Some(address), phone_number, ..Profile::default() };
    assert_eq!(mapped.profile, expected, "and nothing says that the number is verified");
    let mapping = Mapping {
        profile: BTreeMap::from([
            (Field::AddressLocality, ProfileSource::Off),
            (Field::AddressCountry, ProfileSource::Off),
            (Field::AddressPostalCode, source("claims.plz")),
            (Field::PhoneNumber, ProfileSource::Off),
        ]),
        ..Mapping::default()
    };
    let mapped = mapping.apply(&object(claims)).unwrap();
    let address = Address { postal_code: Some("53111".to_owned()), ..Address::default() };
    assert_eq!(mapped.profile, Profile { address: Some(address), ..Profile::default() });
    let nothing = Mapping::default().apply(&object(json!({"address": "Bonn"}))).unwrap();
    assert_eq!(nothing.profile.address, None);
}

#[test]
fn large_and_deep_claims_are_refused_before_anything_is_evaluated() {
    let many = json!({"a": vec![0; MAX_VALUES]});
    assert_eq!(Mapping::default().apply(&object(many)), Err(ClaimsTooLarge));
    let mut deep = json!(1);
    for _ in 0..=MAX_DEPTH {
        deep = json!([deep]);
    }
    assert_eq!(Mapping::default().apply(&object(json!({"a": deep}))), Err(ClaimsTooLarge));
}

#[test]
fn claims_at_the_bounds_are_read_in_lists_and_objects_alike() {
    let deep = |levels: usize, wrap: fn(Json) -> Json| (1..levels).fold(json!(1), |inner, _| wrap(inner));
    let many: fn(usize) -> [Json; 2] = |count| {
        let values = (0..count).map(|i| (i.to_string(), json!(1))).collect::<Map<_, _>>();
        [json!(vec![1; count]), Json::Object(values)]
    };
    let reads = |value: Json| {
        let claims = object(json!({"a": value}));
        let read = Mapping::default().apply(&claims).is_ok();
        assert_eq!(Expression::new("true").unwrap().holds_of(&claims), read);
        read
    };
    let wraps: [fn(Json) -> Json; 2] = [|inner| json!([inner]), |inner| json!({ "b": inner })];
    for wrap in wraps {
        assert!(reads(deep(MAX_DEPTH, wrap)));
        assert!(!reads(deep(MAX_DEPTH + 1, wrap)));
    }
    // the list or object itself is one of the values
    for most in many(MAX_VALUES - 1) {
        assert!(reads(most));
    }
    for more in many(MAX_VALUES) {
        assert!(!reads(more));
    }
}

#[test]
fn a_rule_has_a_name_and_one_target() {
    let read = |text: &str| toml::from_str::<Rule>(text).map_err(|error| error.message().to_owned());
    let named = |name: &str| read(&format!("rule = {name:?}\ngroup = \"g\"\nwhen = \"true\""));
    assert_eq!(named("staff").unwrap().rule, "staff");
    assert!(named(&"x".repeat(128)).is_ok());
    for bad in ["", " ", "a\nb", &"x".repeat(129)] {
        assert!(named(bad).unwrap_err().contains("1 to 128"), "{bad:?}");
    }
    assert!(read("rule = 'r'\nrole = 'g'\nwhen = 'true'").is_ok());
    for bad in ["rule = 'r'\nwhen = 'true'", "rule = 'r'\nrole = 'g'\ngroup = 'g'\nwhen = 'true'"] {
        assert!(read(bad).unwrap_err().contains("either one"), "{bad}");
    }
}

#[test]
fn an_empty_text_switches_a_field_off() {
    let source = |text: &str| toml::from_str::<BTreeMap<Field, ProfileSource>>(&format!("name = '{text}'"));
    for off in ["", "  "] {
        assert_eq!(source(off).unwrap(), BTreeMap::from([(Field::Name, ProfileSource::Off)]));
    }
    let from = ProfileSource::From(Expression::new("claims.x").unwrap());
    assert_eq!(source("claims.x").unwrap(), BTreeMap::from([(Field::Name, from)]));
    assert!(source("clams.x").is_err());
}

#[test]
fn an_expression_cannot_run_long() {
    // the longest expression there can be, over the longest list
    let text = vec!["'x' in claims.a"; 100].join(" or ");
    let claims = json!({"a": vec!["y"; MAX_VALUES - 2]});
    assert!(!holds(&text, claims));
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<u64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "\\PC{0,12}".prop_map(Json::from),
        Just(json!("engineering")),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            proptest::collection::btree_map("[a-z]{1,6}|groups|name|email", inner, 0..6)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    })
}

fn any_claims() -> impl Strategy<Value = Map<String, Json>> {
    let name = "[a-z]{1,3}|groups|name|email|picture|locale|sub|admin";
    proptest::collection::btree_map(name, any_json(), 0..8).prop_map(|map| map.into_iter().collect())
}

fn full_mapping() -> Mapping {
    let group = |name: &str| Target::Group(GroupName::new(name).unwrap());
    let expressions = [
        "'engineering' in claims.groups",
        "claims.a == claims.b",
        "claims.a < claims.b and claims.c >= 1",
        "claims.a | lower | split(',') | first == 'x'",
        "claims.groups | length > 2",
        "claims.a | trim is startingwith('x')",
        "claims['a'][0].b ~ claims.c == 'y' if claims.d is defined else claims.e",
        "list(claims.a) | last in list(claims.b)",
        "claims.name | upper | default('z') is string",
    ];
    let rules = expressions.iter().enumerate();
    Mapping {
        rules: rules.map(|(i, text)| rule(&format!("r{i}"), group(&format!("g{i}")), text)).collect(),
        filter: Some(Expression::new("claims.admin").unwrap()),
        domain: Some(Expression::new("claims.a").unwrap()),
        email_verified: Some(Expression::new("claims.b").unwrap()),
        profile: BTreeMap::from([(
            Field::Nickname,
            ProfileSource::From(Expression::new("claims.a ~ claims.b").unwrap()),
        )]),
    }
}

proptest! {
    /// Law: mapping is total and a function of the claims alone.
    #[test]
    fn mapping_is_total_and_repeatable(claims in any_claims()) {
        let mapping = full_mapping();
        prop_assert_eq!(mapping.apply(&claims), mapping.apply(&claims));
    }

    /// Law: whatever is assigned was named by a rule of the configuration.
    #[test]
    fn nothing_is_assigned_but_what_a_rule_names(claims in any_claims()) {
        let mapping = full_mapping();
        let mapped = mapping.apply(&claims).unwrap();
        for (target, by) in &mapped.assignments {
            prop_assert!(mapping.rules.iter().any(|rule| rule.target == *target && rule.rule == *by));
        }
    }

    /// Law: a claim that no expression reads and that is no profile field changes nothing.
    #[test]
    fn unread_claims_change_nothing(claims in any_claims(), extra in any_json()) {
        let mapping = full_mapping();
        let before = mapping.apply(&claims).unwrap();
        let mut more = claims;
        more.insert("zz_unread".to_owned(), extra);
        prop_assert_eq!(mapping.apply(&more).unwrap(), before);
    }

    /// Law: no text makes the compiler panic, and what compiles evaluates without a panic.
    #[test]
    fn compiling_is_total(text in "[a-z .'()\\[\\]|=<>~,0-9]{0,60}|(claims|in|is|not|and|or|if|else|list|\\.|\\(|\\)|\\[|\\]|'x'|\\||first| ){0,20}", claims in any_claims()) {
        if let Ok(expression) = Expression::new(text) {
            let mapping = Mapping { filter: Some(expression), ..Mapping::default() };
            let _ = mapping.apply(&claims);
        }
    }
}
