//! The checks of the web browser SSO profile (SAML Profiles §4.1.4): total, pure, on the injected clock.
