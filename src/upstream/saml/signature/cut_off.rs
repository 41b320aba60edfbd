//! Cuts libxmlsec1 and libxml2 off from files and the network. The one file with `unsafe`.
//!
//! libxmlsec1 resolves the URI of a `Reference` by input callbacks (files, http, ftp), and libxml2 loads external
//! entities and document types by its own; both before anything is authenticated. The shape lets no such message come
//! that far; these calls make it impossible beside. There is no safe function for them in any crate.
#![allow(unsafe_code)]

use samael::crypto::{CertificateDer, Crypto, CryptoProvider as _};
use std::ffi::{c_char, c_int, c_void};
use std::ptr::null_mut;
use std::sync::OnceLock;

/// `xmlExternalEntityLoader` of libxml/parser.h: address, public identifier, parser → input.
type Loader = extern "C" fn(*const c_char, *const c_char, *mut c_void) -> *mut c_void;

// Both libraries are linked by samael.
unsafe extern "C" {
    /// xmlsec/io.h: forgets all input callbacks.
    fn xmlSecIOCleanupCallbacks();
    /// xmlsec/errors.h: whether errors are written to the standard error output.
    fn xmlSecErrorsDefaultCallbackEnableOutput(enabled: c_int);
    /// libxml/xmlIO.h: forgets all input callbacks.
    fn xmlCleanupInputCallbacks();
    /// libxml/parser.h: what loads external entities and document types.
    fn xmlSetExternalEntityLoader(loader: Loader);
}

/// Loads nothing.
extern "C" fn nothing(_: *const c_char, _: *const c_char, _: *mut c_void) -> *mut c_void {
    null_mut()
}

/// Has samael initialise both libraries, and cuts them off. The first call does it, others wait for it.
///
/// # Errors
/// What failed, for the operator.
pub(super) fn once() -> Result<(), &'static str> {
    static DONE: OnceLock<Result<(), &'static str>> = OnceLock::new();
    *DONE.get_or_init(|| {
        // SAFETY: stores a number. What libxmlsec1 would write holds parts of messages, and no log has them.
        unsafe { xmlSecErrorsDefaultCallbackEnableOutput(0) };
        // samael initialises libxmlsec1, which registers its callbacks, when it first loads a key; this is none.
        let none = CertificateDer::from(vec![0]);
        if Crypto::verify_signed_xml("<none/>", &none, None).is_ok() {
            return Err("libxmlsec1 took a byte for a certificate");
        }
        // SAFETY: the three functions change process-wide tables of initialised libraries. Nothing else in this
        // process uses these libraries: all calls of samael are behind this function, which runs once, before them, under
        // the lock of the cell. `nothing` has the type that libxml2 declares, lives forever, and dereferences nothing.
        unsafe {
            xmlSecIOCleanupCallbacks();
            xmlCleanupInputCallbacks();
            xmlSetExternalEntityLoader(nothing);
        }
        Ok(())
    })
}
