use super::*;
use clap::CommandFactory as _;

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_explains_itself() {
    fn look(command: &clap::Command, path: &str) {
        assert!(command.get_about().is_some(), "{path} has no help");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{path} {} has no help", argument.get_id());
        }
        for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
            look(inner, &format!("{path} {}", inner.get_name()));
        }
    }
    look(&Cli::command(), "countersign");
}

#[test]
fn an_administrator_has_a_name() {
    assert!(!admin_name().is_empty());
}

#[test]
fn errors_have_the_documented_exit_codes() {
    let refused = AdminError::NotFound { what: "client", name: "x".to_owned() };
    assert_eq!(CliError::from(refused).exit_code(), 1);
    assert_eq!(CliError::from(Report::default()).exit_code(), 1);
    assert_eq!(CliError::from(StoreError::Unavailable("x".to_owned())).exit_code(), 3);
    assert_eq!(CliError::from(AdminError::from(StoreError::Broken("x"))).exit_code(), 3);
}

// ids are base64url, so one in 64 begins like an option
#[test]
fn an_id_that_begins_with_a_dash_is_an_id() {
    let id = "-f3c2k1LQ0aBcDeFgHiJkL";
    for command in [
        "account show",
        "account suspend",
        "account sign-out",
        "account activate",
        "account remove --yes",
        "account grant --group staff",
        "account revoke --role reader",
        "account list --after",
        "account known --to board --as",
        "session list",
        "session end",
        "registration-token revoke",
    ] {
        let words = ["countersign"].into_iter().chain(command.split(' ')).chain([id]);
        assert!(Cli::try_parse_from(words.clone()).is_ok(), "{command} {id}");
        let with_option = words.chain(["--json"]);
        assert!(Cli::try_parse_from(with_option).is_ok_and(|cli| cli.global.json), "{command} {id} --json");
    }
    assert!(Cli::try_parse_from(["countersign", "account", "unlink", id, id]).is_ok());
    let typo = ["countersign", "account", "show", "--jsn"];
    assert!(Cli::try_parse_from(typo).is_ok(), "what looks like an option is looked up, and found nowhere");
}
