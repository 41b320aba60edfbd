//! Encrypted assertions: what is decrypted, and what is refused before or after.

use super::super::support::{Encryption, Script, edit, outer};
use super::*;
use bergshamra::core::algorithm as a;

const CBC: [&str; 3] = [a::AES128_CBC, a::AES192_CBC, a::AES256_CBC];

fn key(of: &Key) -> Arc<DecryptionKey> {
    let (_, der) = x509_cert::der::pem::decode_vec(of.private_pem().as_bytes()).unwrap();
    Arc::new(DecryptionKey::new(&der).unwrap())
}

pub(super) fn service() -> DecryptionKeys {
    DecryptionKeys { keys: vec![key(&Key::service())], cbc: false }
}

fn message(change: impl FnOnce(&mut Script, &mut Encryption)) -> String {
    let mut script = script();
    let mut encryption = Encryption::to(Key::service().der());
    change(&mut script, &mut encryption);
    script.encrypt = Some(encryption);
    script.xml()
}

#[track_caller]
fn opens(xml: &str, keys: &DecryptionKeys) -> Opened {
    opened(xml, &trust(&[Key::rsa()]), keys).unwrap_or_else(|f| panic!("{}\n{xml}", f.for_operator()))
}

#[track_caller]
fn fails(reason: &str, xml: &str, keys: &DecryptionKeys) {
    match opened(xml, &trust(&[Key::rsa()]), keys) {
        Ok(_) => panic!("opened: {xml}"),
        Err(failure) => assert_eq!(failure.reason, reason, "{}\n{xml}", failure.for_operator()),
    }
}

#[test]
fn an_encrypted_assertion_opens_with_our_key_alone() {
    for signed in [(true, false), (false, true), (true, true)] {
        let xml = message(|script, _| script.signed(signed.0, signed.1));
        let opened = opens(&xml, &service());
        assert!(opened.assertion.contains("alice-persistent"));
        assert!(!opened.assertion.contains("Signature"));
        assert_eq!(opened.response.signed, signed.1);
        fails("saml.enc.failed", &xml, &DecryptionKeys::default());
        fails("saml.enc.failed", &xml, &DecryptionKeys { keys: vec![key(&Key::attacker())], cbc: false });
    }
    fails("saml.sig.assertion_required", &message(|script, _| script.signed(false, false)), &service());
    let must = Trust { signed: Signed { assertion: true, response: false }, ..trust(&[Key::rsa()]) };
    let response_only = message(|script, _| script.signed(false, true));
    assert_eq!(opened(&response_only, &must, &service()).unwrap_err().reason, "saml.sig.assertion_required");
    let changed = message(|script, _| script.signed(true, false));
    let other = Trust { certificates: trust(&[Key::attacker()]).certificates, ..must };
    assert_eq!(opened(&changed, &other, &service()).unwrap_err().reason, "saml.sig.invalid");
}

#[test]
fn the_next_key_is_tried_too() {
    let xml = message(|_, _| ());
    opens(&xml, &DecryptionKeys { keys: vec![key(&Key::attacker()), key(&Key::service())], cbc: false });
}

#[test]
fn gcm_of_every_size_and_oaep_of_every_digest_open() {
    for data in [a::AES128_GCM, a::AES192_GCM, a::AES256_GCM] {
        for beside in [false, true] {
            opens(
                &message(|_, e| {
                    e.data = data.to_owned();
                    e.key_beside = beside;
                }),
                &service(),
            );
        }
    }
    let mgf = |name: &str| Some(format!("http://www.w3.org/2009/xmlenc11#mgf1{name}"));
    for (digest, mask) in [
        (Some(a::SHA1.to_owned()), mgf("sha1")),
        (None, None),
        (Some(a::SHA256.to_owned()), mgf("sha256")),
        (Some(a::SHA384.to_owned()), mgf("sha384")),
        (Some(a::SHA512.to_owned()), mgf("sha512")),
    ] {
        opens(
            &message(|_, e| {
                e.key = a::RSA_OAEP_ENC11.to_owned();
                e.digest = digest;
                e.mgf = mask;
            }),
            &service(),
        );
    }
    opens(&message(|_, e| e.digest = Some(a::SHA1.to_owned())), &service());
}

#[test]
fn other_algorithms_are_refused_before_any_key_is_used() {
    let none = DecryptionKeys::default();
    for (from, to) in [
        (a::AES256_GCM, "http://www.w3.org/2001/04/xmlenc#tripledes-cbc"),
        (a::AES256_GCM, ""),
        (a::RSA_OAEP, "http://www.w3.org/2001/04/xmlenc#rsa-1_5"),
        (a::RSA_OAEP, "http://www.w3.org/2001/04/xmlenc#kw-aes256"),
        (a::RSA_OAEP, ""),
    ] {
        fails("saml.enc.alg", &message(|_, e| e.result = vec![(from.to_owned(), to.to_owned())]), &none);
    }
    let method = |inside: &str| {
        message(|_, e| {
            let open = format!("<xenc:EncryptionMethod Algorithm=\"{}\">", a::RSA_OAEP);
            e.result = vec![(open.clone(), format!("{open}{inside}"))];
        })
    };
    fails("saml.enc.alg", &method("<xenc:OAEPparams>AAAA</xenc:OAEPparams>"), &none);
    fails("saml.enc.alg", &method("<x xmlns=\"urn:x\"/>"), &none);
    let digest = format!(
        "<ds:DigestMethod xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" Algorithm=\"{}\"/>",
        a::SHA256
    );
    fails("saml.enc.alg", &method(&digest), &none);
    opens(&method("<xenc:OAEPparams></xenc:OAEPparams>"), &service());
}

#[test]
fn cbc_needs_the_provider_s_switch_and_a_signature_over_it() {
    let on = DecryptionKeys { cbc: true, ..service() };
    for data in CBC {
        let xml = |assertion, response| {
            message(|script, e| {
                script.signed(assertion, response);
                e.data = data.to_owned();
            })
        };
        opens(&xml(false, true), &on);
        opens(&xml(true, true), &on);
        fails("saml.enc.alg", &xml(true, false), &on);
        fails("saml.enc.alg", &xml(true, true), &service());
    }
}

/// A sound message, not signed as a whole, whose encrypted assertion was edited.
fn altered(change: impl FnOnce(&mut super::super::support::Tree<'_>) -> Option<()>) -> String {
    let mut xml = message(|_, _| ());
    opens(&xml, &service());
    edit(&mut xml, change).expect("the edit finds its place");
    xml
}

#[test]
fn there_is_one_key_and_one_text_and_nothing_to_look_up() {
    const DATA: &str = "Response/EncryptedAssertion/EncryptedData";
    let key = format!("{DATA}/KeyInfo/EncryptedKey");
    let xml = message(|_, _| ());
    let whole = outer(&xml, &key).unwrap();
    let data = outer(&xml, DATA).unwrap();
    let reference = "<xenc:CipherReference URI=\"http://127.0.0.1/\"/>";
    type Change<'a> = &'a dyn Fn(&mut super::super::support::Tree<'_>) -> Option<()>;
    let changes: [Change<'_>; 22] = [
        &|tree| tree.after(&key, &whole),
        &|tree| tree.after(&key, &whole.repeat(100)),
        &|tree| tree.after(DATA, &whole),
        &|tree| tree.after(DATA, &data),
        &|tree| tree.before(DATA, "<x xmlns=\"urn:x\"/>"),
        &|tree| tree.remove(&key).map(drop),
        &|tree| tree.remove(DATA).map(drop),
        &|tree| tree.remove(&format!("{DATA}/KeyInfo")).map(drop),
        &|tree| tree.remove(&format!("{DATA}/EncryptionMethod")).map(drop),
        &|tree| tree.remove(&format!("{DATA}/CipherData")).map(drop),
        &|tree| tree.after(&format!("{DATA}/CipherData"), "<xenc:EncryptionProperties/>"),
        &|tree| {
            tree.after(
                &format!("{DATA}/CipherData"),
                "<xenc:CipherData><xenc:CipherValue>AAAA</xenc:CipherValue></xenc:CipherData>",
            )
        },
        &|tree| tree.replace(&format!("{DATA}/CipherData/CipherValue"), reference),
        &|tree| tree.after(&format!("{DATA}/CipherData/CipherValue"), reference),
        &|tree| tree.replace(&format!("{key}/CipherData/CipherValue"), reference),
        &|tree| tree.set(&format!("{DATA}/CipherData/CipherValue"), "!"),
        &|tree| tree.set(&format!("{key}/CipherData/CipherValue"), "A"),
        &|tree| tree.set(&format!("{DATA}/CipherData/CipherValue"), "<x/>"),
        &|tree| tree.set_attribute(DATA, "Type", "http://www.w3.org/2001/04/xmlenc#Content"),
        &|tree| tree.after(&key, "<ds:RetrievalMethod URI=\"http://127.0.0.1/\"/>"),
        &|tree| tree.replace(&key, "<ds:RetrievalMethod URI=\"http://127.0.0.1/\"/>"),
        &|tree| tree.append(&key, "<xenc:EncryptedData/>"),
    ];
    for change in changes {
        fails("saml.enc.malformed", &altered(change), &DecryptionKeys::default());
    }
    // A key beside the data may be named by its ID, by which nothing is looked up.
    let beside = |uri: &str, id: &str| {
        let info = format!(
            "<ds:KeyInfo><ds:RetrievalMethod Type=\"http://www.w3.org/2001/04/xmlenc#EncryptedKey\" URI=\"{uri}\"/></ds:KeyInfo>"
        );
        altered(|tree| {
            let whole = tree.remove(&key)?;
            let info =
                info.replace("<ds:KeyInfo>", "<ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">");
            tree.replace(&format!("{DATA}/KeyInfo"), &info)?;
            tree.after(DATA, &whole)?;
            tree.set_attribute("Response/EncryptedAssertion/EncryptedKey", "Id", id)
        })
    };
    opens(&beside("#_key", "_key"), &service());
    for (uri, id) in
        [("#_other", "_key"), ("_key", "_key"), ("", ""), ("#", ""), ("http://127.0.0.1/#_key", "_key")]
    {
        fails("saml.enc.malformed", &beside(uri, id), &service());
    }
}

#[test]
fn whatever_a_key_finds_out_is_one_failure() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    const DATA: &str = "Response/EncryptedAssertion/EncryptedData";
    let key = format!("{DATA}/KeyInfo/EncryptedKey/CipherData/CipherValue");
    let data = format!("{DATA}/CipherData/CipherValue");
    for path in [&key, &data] {
        for change in [
            &(|bytes: &mut Vec<u8>| bytes[0] ^= 1) as &dyn Fn(&mut Vec<u8>),
            &|bytes| *bytes.last_mut().unwrap() ^= 1,
            &|bytes| bytes.clear(),
            &|bytes| bytes.truncate(1),
            &|bytes| bytes.truncate(12),
            &|bytes| bytes.truncate(27),
            &|bytes| bytes.truncate(28),
            &|bytes| bytes.push(0),
        ] {
            let broken = altered(|tree| {
                tree.change(path, |old| {
                    let mut bytes = STANDARD.decode(old).unwrap();
                    change(&mut bytes);
                    STANDARD.encode(bytes)
                })
            });
            fails("saml.enc.failed", &broken, &service());
        }
    }
    // The key is too short for what it is said to be for.
    let short = message(|_, e| {
        e.data = a::AES128_GCM.to_owned();
        e.result = vec![(a::AES128_GCM.to_owned(), a::AES256_GCM.to_owned())];
    });
    fails("saml.enc.failed", &short, &service());
    // What comes out is read as strictly as what comes in.
    let on = DecryptionKeys { cbc: true, ..service() };
    for (plain, reason) in [
        (b"<a>".as_slice(), "saml.enc.failed"),
        (b"", "saml.enc.malformed"),
        (b"x", "saml.enc.malformed"),
        (b"\xff", "saml.enc.failed"),
        (b"</decrypted><decrypted>", "saml.enc.failed"),
        (b"<!DOCTYPE a><a/>", "saml.enc.failed"),
        (b"<a/><!-- -->", "saml.enc.failed"),
        (b"<a/>", "saml.enc.malformed"),
        (b"<saml:Assertion ID='_a'/><saml:Assertion ID='_b'/>", "saml.enc.malformed"),
        (b"<saml:Assertion ID='_a'/>", "saml.sig.assertion_required"),
        (b"<saml:Assertion ID='_a'><saml:Evil/></saml:Assertion>", "saml.message.shape"),
    ] {
        let encrypted = Encryption::to(Key::service().der()).bytes(plain);
        let xml = altered(|tree| tree.replace(DATA, &encrypted));
        fails(reason, &xml, &on);
    }
}

/// All that is needed is there and could be decrypted, but for a name; what is counted stands where nobody reads it.
#[test]
fn each_part_has_its_own_name_and_place() {
    let with = |beside: bool, changes: &[(&str, &str)]| {
        message(|_, e| {
            e.key_beside = beside;
            e.result = changes.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        })
    };
    const INFO: &str = "<ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">";
    let method = |inside: &str| format!("</xenc:EncryptionMethod>{INFO}{inside}</ds:KeyInfo>");
    let data = ("<xenc:EncryptedData", "<xenc:Data");
    let data_end = ("</xenc:EncryptedData>", "</xenc:Data>");
    let hidden = method("<xenc:EncryptedData/>");
    let hidden_key = method("<xenc:EncryptedKey/>");
    let key_end = "</xenc:EncryptedKey>";
    for xml in [
        with(false, &[data, data_end, (key_end, "</xenc:EncryptedKey><xenc:EncryptedData/>")]),
        with(true, &[data, data_end, ("</xenc:EncryptionMethod>", &hidden)]),
        with(
            true,
            &[
                ("<xenc:EncryptedKey", "<xenc:Key"),
                (key_end, "</xenc:Key>"),
                ("</xenc:EncryptionMethod>", &hidden_key),
            ],
        ),
        with(false, &[("<ds:KeyInfo", "<ds:Info"), ("</ds:KeyInfo>", "</ds:Info>")]),
        with(false, &[("<xenc:CipherData", "<xenc:Bytes"), ("</xenc:CipherData>", "</xenc:Bytes>")]),
        with(false, &[("<xenc:CipherValue", "<xenc:Value"), ("</xenc:CipherValue>", "</xenc:Value>")]),
        with(
            false,
            &[("</xenc:EncryptedData>", "<xenc:CarriedKeyName>x</xenc:CarriedKeyName></xenc:EncryptedData>")],
        ),
        with(false, &[("</xenc:EncryptedData>", "<xenc:ReferenceList/></xenc:EncryptedData>")]),
        with(false, &[(key_end, "<xenc:EncryptionProperties/></xenc:EncryptedKey>")]),
    ] {
        fails("saml.enc.malformed", &xml, &service());
    }
    let mask = "<m:MGF xmlns:m=\"http://www.w3.org/2009/xmlenc11#\" Algorithm=\"http://www.w3.org/2009/xmlenc11#mgf1sha1\"/></xenc:EncryptionMethod>";
    fails("saml.enc.alg", &with(false, &[("</xenc:EncryptionMethod>", mask)]), &service());
    // the valid twins, and what a key may say of itself
    for beside in [false, true] {
        opens(&with(beside, &[]), &service());
        opens(
            &with(
                beside,
                &[
                    ("<xenc:CipherValue>", "<xenc:CipherValue>\n \t"),
                    ("</xenc:CipherValue>", "\r\n</xenc:CipherValue>"),
                ],
            ),
            &service(),
        );
        for more in [
            "<xenc:ReferenceList><xenc:DataReference URI=\"#x\"/></xenc:ReferenceList>",
            "<xenc:CarriedKeyName>x</xenc:CarriedKeyName>",
        ] {
            opens(&with(beside, &[(key_end, &format!("{more}{key_end}"))]), &service());
        }
    }
    // a pointer at the key beside has nothing in it
    let pointed = |inside: &str| {
        let from = format!("Algorithm=\"{}\"/>", a::AES256_GCM);
        let info = format!(
            "{from}{INFO}<ds:RetrievalMethod URI=\"#_key\">{inside}</ds:RetrievalMethod></ds:KeyInfo>"
        );
        with(true, &[("<xenc:EncryptedKey", "<xenc:EncryptedKey Id=\"_key\""), (&from, &info)])
    };
    opens(&pointed(""), &service());
    fails("saml.enc.malformed", &pointed("<ds:Transforms/>"), &service());
}

/// What the last byte says of padding is one of sixteen (XML Encryption 1.1 §5.2.1).
#[test]
fn padding_is_one_block_at_most() {
    use super::super::{encryption, xml};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let on = DecryptionKeys { cbc: true, ..service() };
    // one block: four bytes and twelve of padding, the last of which the vector changes at will
    let whole = Encryption { data: a::AES256_CBC.to_owned(), ..Encryption::to(Key::service().der()) }
        .assertion("<a/>");
    let start = whole.rfind("<xenc:CipherValue>").unwrap() + "<xenc:CipherValue>".len();
    let end = whole.rfind("</xenc:CipherValue>").unwrap();
    let sealed = STANDARD.decode(whole[start..end].trim()).unwrap();
    assert_eq!(sealed.len(), 32);
    let padded = |last: u8| {
        let mut bytes = sealed.clone();
        bytes[15] ^= 12 ^ last;
        let text = format!("{}{}{}", &whole[..start], STANDARD.encode(bytes), &whole[end..]);
        let document = xml::parse(&text).unwrap();
        let mut steps = crate::upstream::Trace::default();
        let mut checks = crate::upstream::checks::Checks::new(&mut steps);
        encryption::decrypt(document.root_element(), true, &on, &mut checks).map_err(|failure| failure.reason)
    };
    assert!(padded(12).unwrap().contains("><a/></decrypted>"));
    assert!(padded(16).unwrap().contains("></decrypted>"));
    for last in [0, 17, 32, 255] {
        assert_eq!(padded(last), Err("saml.enc.failed"), "{last}");
    }
}
