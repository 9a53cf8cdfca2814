//! What would be lost if a child's answer were taken at its word?

use strongroom_extract::{Extracted, Kind, Refusal};

use super::answer::{self, Refused};

/// Lost otherwise: a text would arrive with another page's start, or a refusal without its reason.
#[test]
fn what_is_written_is_what_is_read() {
    let found = Extracted { kind: Kind::Pdf, text: "# é\n\nb\n".to_owned(), starts: vec![0, 6] };
    assert_eq!(answer::read(&answer::write(&Ok(found.clone()))), Some(Ok(found)));
    let refusal = Refusal::Pages { most: 3 };
    let refused = Refused { code: "file_too_many_pages", text: refusal.to_string() };
    assert_eq!(answer::read(&answer::write(&Err(refusal))), Some(Err(refused)));
    for code in Refusal::CODES {
        let said = format!("{{\"code\":\"{code}\",\"text\":\"x\"}}\n");
        assert_eq!(answer::read(said.as_bytes()), Some(Err(Refused { code, text: "x".to_owned() })));
    }
}

/// Lost otherwise: a file that took over its reader could bring the server down with what it says.
#[test]
fn what_is_no_answer_is_none() {
    let bad: [&[u8]; 9] = [
        b"",
        b"{}\n",
        b"{\"kind\":\"pdf\",\"starts\":[0]}",
        b"{\"kind\":\"exe\",\"starts\":[]}\ntext",
        b"{\"kind\":\"pdf\",\"starts\":[1]}\n\xc3\xa9",
        b"{\"kind\":\"pdf\",\"starts\":[2,1]}\nabc",
        b"{\"kind\":\"pdf\",\"starts\":[9]}\nabc",
        b"{\"kind\":\"pdf\",\"starts\":[]}\n\xff",
        b"{\"code\":\"made_up\",\"text\":\"x\"}\n",
    ];
    for said in bad {
        assert_eq!(answer::read(said), None, "{}", String::from_utf8_lossy(said));
    }
}
