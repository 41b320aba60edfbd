//! Brands' icons. Where they come from, and under what licence: `templates/icons/brands/README.md`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

macro_rules! brands {
    ($($name:literal),* $(,)?) => {
        const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../templates/icons/brands/", $name, ".svg")))),*];
    };
}

brands! {
    "apple", "auth0", "bitbucket", "discord", "facebook", "github", "gitlab", "google", "kakao", "keycloak", "line",
    "naver", "okta", "openid", "paypal", "twitch", "x",
}

/// Each drawing is one path on a ground of 24 by 24.
static PATHS: LazyLock<BTreeMap<&str, &str>> =
    LazyLock::new(|| FILES.iter().filter_map(|(name, svg)| Some((*name, path_of(svg)?))).collect());

/// The path of a drawing.
fn path_of(svg: &'static str) -> Option<&'static str> {
    let (_, rest) = svg.split_once("<path d=\"")?;
    rest.split_once('"').map(|(path, _)| path)
}

/// The drawing of a brand, as the path of an SVG of 24 by 24.
pub fn brand(name: &str) -> Option<&'static str> {
    PATHS.get(name).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::presets;

    #[test]
    fn every_drawing_is_one_path_and_nothing_else() {
        for (name, svg) in FILES {
            let path = brand(name).unwrap_or_else(|| panic!("{name} has no path"));
            assert_eq!(svg.matches("<path").count(), 1, "{name}");
            assert!(svg.contains("viewBox=\"0 0 24 24\""), "{name}");
            assert!(!svg.contains("script") && !svg.contains("href") && !svg.contains("style"), "{name}");
            let known =
                |c: char| c.is_ascii_digit() || ".,- \n".contains(c) || "MmLlHhVvCcSsQqTtAaZze".contains(c);
            assert!(!path.is_empty() && path.chars().all(known), "{name}");
        }
    }

    #[test]
    fn presets_name_drawings_that_are_there_or_were_taken_back_by_their_owners() {
        let letters = ["amazon", "cognito", "linkedin", "microsoft", "slack", "yahoo"];
        for preset in presets::all() {
            let icon = preset.sets().into_iter().find(|(key, _)| key == "icon").map(|(_, value)| value);
            let Some(icon) = icon else { continue };
            let icon = icon.trim_matches('"');
            let general = ["link", "key", "building", "people"].contains(&icon);
            assert!(brand(icon).is_some() || letters.contains(&icon) || general, "{}: {icon}", preset.name);
        }
    }
}
