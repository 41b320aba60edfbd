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
