//! The accent colour of a house, made readable: contrast by WCAG 2.2 (§1.4.3, definition of relative
//! luminance), so that no setting can produce a page that people cannot read.

/// An sRGB colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour([u8; 3]);

/// What text needs against its ground (WCAG 2.2 §1.4.3, level AA).
const TEXT: f64 = 4.5;
const WHITE: Colour = Colour([255, 255, 255]);
const BLACK: Colour = Colour([0, 0, 0]);
/// The ground of cards in `static/countersign.css`, light and dark.
const CARD_LIGHT: Colour = WHITE;
const CARD_DARK: Colour = Colour([0x1a, 0x1e, 0x27]);

impl Colour {
    /// The accent where none is set.
    pub const DEFAULT: Self = Self([0x2f, 0x5b, 0xd8]);

    /// Reads `#rrggbb`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
        Some(Self([red, green, blue]))
    }
    /// As `#rrggbb`.
    pub fn hex(self) -> String {
        let [red, green, blue] = self.0;
        format!("#{red:02x}{green:02x}{blue:02x}")
    }
    /// Relative luminance, from 0 (black) to 1 (white).
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|channel| {
            let c = f64::from(channel) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }
    /// The contrast of two colours, from 1 to 21.
    pub fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }
    /// Black or white, whichever reads better on it; one of them always reaches 4.58.
    pub fn text_on(self) -> Self {
        if self.contrast(WHITE) >= self.contrast(BLACK) { WHITE } else { BLACK }
    }
    /// A mixture: `percent` of `other`, the rest of this.
    #[allow(clippy::cast_possible_truncation)] // a weighted mean of two bytes is a byte
    fn mixed(self, other: Self, percent: u32) -> Self {
        let ([r, g, b], [or, og, ob]) = (self.0, other.0);
        let mix = |a: u8, b: u8| ((u32::from(a) * (100 - percent) + u32::from(b) * percent) / 100) as u8;
        Self([mix(r, or), mix(g, og), mix(b, ob)])
    }
    /// The colour nearest to it that can be read as text on `ground`.
    fn readable_on(self, ground: Self) -> Self {
        let towards = ground.text_on();
        (0..=100)
            .map(|percent| self.mixed(towards, percent))
            .find(|c| c.contrast(ground) >= TEXT)
            .unwrap_or(towards)
    }
}

/// The style sheet with the house's colours: custom properties only.
pub fn stylesheet(accent: Colour) -> String {
    let on = accent.text_on();
    // Away from the text's colour, so that pointing at a button never costs contrast.
    let hover = accent.mixed(if on == WHITE { BLACK } else { WHITE }, 14);
    let light = accent.readable_on(CARD_LIGHT);
    let dark = accent.readable_on(CARD_DARK);
    format!(
        ":root{{--accent:{};--accent-hover:{};--on-accent:{};--accent-text:{}}}\n\
         @media (prefers-color-scheme:dark){{:root{{--accent-text:{}}}}}\n",
        accent.hex(),
        hover.hex(),
        on.hex(),
        light.hex(),
        dark.hex()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_six_digits_are_a_colour() {
        assert_eq!(Colour::parse("#2F5bd8"), Some(Colour::DEFAULT));
        for bad in ["", "#fff", "2f5bd8", "#2f5bd8ff", "#2f5bdg", "#+f5bd8", "red", "#2f5bd8;}", "#ééé"] {
            assert_eq!(Colour::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn contrast_is_that_of_wcag() {
        assert!((BLACK.contrast(WHITE) - 21.0).abs() < 1e-9);
        assert!((WHITE.contrast(WHITE) - 1.0).abs() < 1e-9);
        assert!((Colour([0x76, 0x76, 0x76]).contrast(WHITE) - 4.54).abs() < 0.01);
    }

    #[test]
    fn the_grounds_are_those_of_the_sheet() {
        let css = include_str!("../../../static/countersign.css");
        assert!(css.contains(&format!("--card: {};", CARD_LIGHT.hex())));
        assert!(css.contains(&format!("--card: {};", CARD_DARK.hex())));
    }

    proptest! {
        #[test]
        fn every_accent_can_be_read(red: u8, green: u8, blue: u8) {
            let accent = Colour([red, green, blue]);
            let on = accent.text_on();
            let hover = accent.mixed(if on == WHITE { BLACK } else { WHITE }, 14);
            prop_assert!(accent.contrast(on) >= TEXT);
            prop_assert!(hover.contrast(on) >= TEXT);
            prop_assert!(accent.readable_on(CARD_LIGHT).contrast(CARD_LIGHT) >= TEXT);
            prop_assert!(accent.readable_on(CARD_DARK).contrast(CARD_DARK) >= TEXT);
            prop_assert_eq!(Colour::parse(&accent.hex()), Some(accent));
        }
    }
}
