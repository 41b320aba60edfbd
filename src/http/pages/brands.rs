//! Brands' icons. Where they come from, under what licence and by which rule: `templates/icons/brands/README.md`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

macro_rules! brands {
    ($($name:literal),* $(,)?) => {
        const FILES: &[(&str, &str)] =
            &[$(($name, include_str!(concat!("../../../templates/icons/brands/", $name, ".svg")))),*];
    };
}

brands! {
    "amazon", "apple", "auth0", "bitbucket", "discord", "facebook", "github", "gitlab", "google", "kakao", "keycloak",
    "line", "microsoft", "naver", "okta", "openid", "paypal", "twitch", "x",
}

/// A part of a drawing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Its outline, on a ground of 24 by 24.
    pub path: &'static str,
    /// Its colour, where the brand's rules ask for one; else it has the text's.
    pub fill: Option<&'static str>,
}

/// Each drawing is made of paths, on a ground of 24 by 24.
static SHAPES: LazyLock<BTreeMap<&str, Vec<Shape>>> =
    LazyLock::new(|| FILES.iter().map(|(name, svg)| (*name, shapes_of(svg))).collect());

/// The paths of a drawing.
fn shapes_of(svg: &'static str) -> Vec<Shape> {
    let tags = svg.split("<path").skip(1);
    tags.filter_map(|tag| Some(Shape { path: attribute(tag, " d=\"")?, fill: attribute(tag, " fill=\"") }))
        .collect()
}

/// What an attribute of the first tag says.
fn attribute(tag: &'static str, name: &str) -> Option<&'static str> {
    let (tag, _) = tag.split_once('>')?;
    let (_, rest) = tag.split_once(name)?;
    rest.split_once('"').map(|(value, _)| value)
}

/// The drawing of a brand.
pub fn brand(name: &str) -> Option<&'static [Shape]> {
    SHAPES.get(name).map(Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::presets;

    #[test]
    fn every_drawing_is_small_and_made_of_paths_and_nothing_else() {
        for (name, svg) in FILES {
            let shapes = brand(name).unwrap_or_else(|| panic!("{name} is not there"));
            assert!(!shapes.is_empty() && svg.len() <= 2048, "{name}");
            // the drawing and its title, each opened and closed, and the paths
            assert_eq!(svg.matches('<').count(), shapes.len() + 4, "{name}");
            assert!(svg.contains("viewBox=\"0 0 24 24\""), "{name}");
            for foreign in ["script", "href", "style", "url", "transform", "&"] {
                assert!(!svg.contains(foreign), "{name}: {foreign}");
            }
            for Shape { path, fill } in shapes {
                let known = |c: char| {
                    c.is_ascii_digit() || ".,- \n".contains(c) || "MmLlHhVvCcSsQqTtAaZze".contains(c)
                };
                assert!(!path.is_empty() && path.chars().all(known), "{name}");
                let hex = |fill: &str| {
                    let digits = fill.strip_prefix('#').unwrap_or_default();
                    digits.len() == 6 && digits.chars().all(|c| c.is_ascii_hexdigit())
                };
                assert!(fill.is_none_or(hex), "{name}");
            }
        }
    }

    #[test]
    fn colours_are_those_of_the_drawings() {
        let colours = |name| brand(name).unwrap().iter().map(|shape| shape.fill).collect::<Vec<_>>();
        assert_eq!(colours("microsoft"), ["#F25022", "#7FBA00", "#00A4EF", "#FFB900"].map(Some));
        assert_eq!(colours("google"), ["#4285F4", "#34A853", "#FBBC05", "#EA4335"].map(Some));
        assert_eq!(colours("github"), [None]);
    }

    #[test]
    fn presets_name_drawings_that_are_there_or_may_not_be() {
        // Why these have a letter, tells `templates/icons/brands/README.md`.
        let letters = ["linkedin", "slack", "yahoo"];
        assert!(letters.iter().all(|name| brand(name).is_none()));
        for preset in presets::all() {
            let icon = preset.sets().into_iter().find(|(key, _)| key == "icon").map(|(_, value)| value);
            let Some(icon) = icon else { continue };
            let icon = icon.trim_matches('"');
            let general = ["link", "key", "building", "people"].contains(&icon);
            assert!(brand(icon).is_some() || letters.contains(&icon) || general, "{}: {icon}", preset.name);
        }
    }
}
