//! Damage to each part of a file: right data or an error, never a panic, and what is readable can be
//! rescued.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::disk::Disk;
use crate::pages::PAGE_BYTES;
use crate::testing::{Rng, document, tag};
use crate::{DocumentId, Error, NewDocument, Salvage};

/// A store of some documents, two of which are gone again, and those that are there.
fn store() -> (Vec<u8>, Vec<(DocumentId, NewDocument)>) {
    let mut rng = Rng(99);
    let disk = Disk::default();
    let mut db = disk.open().unwrap();
    let mut stored = Vec::new();
    for (name, n_chunks) in
        [("gone.md", 30), ("a.md", 60), ("old.md", 25), ("b.md", 280), ("c.md", 1), ("d.md", 7)]
    {
        let new = document(&mut rng, name, n_chunks);
        let id = db.put_document(&new).unwrap();
        stored.push((id, new));
    }
    let newer = document(&mut rng, "old.md", 12);
    let id = db.put_document(&newer).unwrap();
    db.remove_document(stored[0].0).unwrap();
    stored.retain(|(_, new)| !["gone.md", "old.md"].contains(&new.name.as_str()));
    stored.push((id, newer));
    db.set_setting("theme", &serde_json::json!({"dark": true})).unwrap();
    drop(db);
    (disk.bytes(), stored)
}

/// Panics that were caught on the way: a browser cannot catch them.
fn n_panics() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    thread_local! {
        static N: AtomicUsize = const { AtomicUsize::new(0) };
    }
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            N.with(|n| n.fetch_add(1, Ordering::Relaxed));
            told(info);
        }));
    });
    N.with(|n| n.load(Ordering::Relaxed))
}

/// Whether the file opened; what it gives must be right then. A panic fails the test.
fn survives(bytes: &[u8], what: &str) -> bool {
    let disk = Disk::holding(bytes.to_vec());
    let n_panics_before = n_panics();
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let db = match disk.open() {
            Ok(db) => db,
            Err(Error::Corrupt { .. } | Error::Io { .. } | Error::NotAStore) => return false,
            Err(error) => panic!("{error:?}"),
        };
        for info in db.documents().unwrap() {
            match db.document(info.id) {
                Ok(stored) => {
                    assert!(stored.is_some_and(|stored| stored.text.chars().count() as u64 == info.n_chars))
                }
                Err(error) => assert!(matches!(error, Error::Corrupt { .. } | Error::Io { .. }), "{error:?}"),
            }
        }
        true
    }));
    assert_eq!(n_panics(), n_panics_before, "{what}");
    opened.unwrap_or_else(|_| panic!("{what}"))
}

/// Rescues what is readable: each document is as it was, or it is said what it lacks.
fn rescue(bytes: &[u8], stored: &[(DocumentId, NewDocument)], what: &str) -> Salvage {
    let salvage = catch_unwind(|| Salvage::of_pages(&Disk::holding(bytes.to_vec()).pages()))
        .unwrap_or_else(|_| panic!("{what}"));
    let salvage = salvage.unwrap_or_else(|error| panic!("{what}: {error}"));
    let is_told = |name: &str| {
        salvage.losses().iter().any(|loss| loss.document.as_deref().is_none_or(|document| document == name))
    };
    for (id, new) in stored {
        let found = salvage.read(*id);
        assert!(found.as_ref() == Some(new) || is_told(&new.name), "{what}: {} is not whole", new.name);
    }
    if salvage.losses().is_empty() {
        assert_eq!(salvage.documents().len(), stored.len(), "{what}");
    }
    salvage
}

/// Writes it to a new store, which must be a sound one.
fn rebuild(salvage: &Salvage, what: &str) {
    let disk = Disk::default();
    let mut rebuilt =
        salvage.rebuild_in(disk.pages(), Some(&tag())).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(rebuilt.verify().unwrap(), [] as [String; 0], "{what}");
    assert_eq!(rebuilt.documents().unwrap().len(), salvage.documents().len(), "{what}");
    drop(rebuilt);
    disk.open().unwrap_or_else(|error| panic!("{what}: {error}"));
}

#[test]
fn a_sound_file_is_rescued_whole() {
    let (bytes, stored) = store();
    let salvage = rescue(&bytes, &stored, "sound");
    assert_eq!((salvage.losses(), salvage.tag()), (&[][..], Some(&tag())));
    let disk = Disk::default();
    let mut db = salvage.rebuild_in(disk.pages(), None).unwrap();
    assert_eq!(db.verify().unwrap(), [] as [String; 0]);
    assert_eq!(db.setting("theme").unwrap(), Some(serde_json::json!({"dark": true})));
    let ids: Vec<DocumentId> = db.documents().unwrap().iter().map(|info| info.id).collect();
    assert_eq!(ids, stored.iter().map(|(id, _)| *id).collect::<Vec<_>>());
    let new = document(&mut Rng(3), "next.md", 2);
    assert!(db.put_document(&new).unwrap() > stored.last().unwrap().0);
}

#[test]
fn a_flipped_byte_in_each_page_is_an_error_or_harmless_and_the_rest_is_rescued() {
    let (bytes, stored) = store();
    let mut rng = Rng(5);
    let (mut n_right, mut n_refused, mut n_whole) = (0, 0, 0);
    for (page, content) in bytes.chunks(PAGE_BYTES).enumerate() {
        if content.iter().all(|&byte| byte == 0) {
            continue;
        }
        // What tells the structure of a page is in front; the header of the file has more of it.
        let n_first = if page == 0 { 320 } else { 6 };
        let n_used = PAGE_BYTES - content.iter().rev().take_while(|&&byte| byte == 0).count();
        for round in 0..n_first + 4 {
            let offset = if round < n_first { round } else { rng.below(n_used) };
            let mut damaged = bytes.clone();
            damaged[page * PAGE_BYTES + offset] ^= 1 << rng.below(8);
            let what = format!("page {page}, byte {offset}");
            match survives(&damaged, &what) {
                true => n_right += 1,
                false => n_refused += 1,
            }
            let salvage = rescue(&damaged, &stored, &what);
            n_whole += usize::from(salvage.losses().is_empty());
            if round == n_first {
                rebuild(&salvage, &what);
            }
        }
    }
    assert!(
        n_right > 0 && n_refused > 0 && n_whole > 0,
        "{n_right} right, {n_refused} refused, {n_whole} whole"
    );
}

#[test]
fn a_damaged_text_is_told_when_it_is_read_and_the_rest_goes_on() {
    let (mut bytes, stored) = store();
    let (id, new) = &stored[1];
    // The largest text; a smaller one may share its page. The passages stand elsewhere, each alone.
    let needle = new.text.as_bytes();
    let at = bytes.windows(needle.len()).position(|window| window == needle).unwrap();
    bytes[at + needle.len() / 2] ^= 4;
    let disk = Disk::holding(bytes);
    let mut db = disk.open().unwrap();
    for _ in 0..2 {
        let error = db.document(*id).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }) && error.to_string().contains("repair"), "{error:?}");
        let readable = stored.iter().filter(|(other, new)| match db.document(*other) {
            Ok(found) => found.unwrap().text == new.text,
            Err(error) => {
                assert!(matches!(error, Error::Corrupt { .. }), "{error:?}");
                false
            }
        });
        assert!(readable.count() >= 3, "an error is only told to whom it concerns");
        assert!(!db.search_text("amber", 3, &crate::Filter::default()).unwrap().is_empty());
    }
    assert!(db.verify().is_err_and(|error| matches!(error, Error::Corrupt { .. })));
    let next = document(&mut Rng(8), "next.md", 3);
    let id = db.put_document(&next).unwrap();
    drop(db);
    assert_eq!(disk.open().unwrap().document(id).unwrap().unwrap().text, next.text);
}

#[test]
fn a_page_that_is_lost_costs_only_what_was_in_it() {
    let (bytes, stored) = store();
    let n_pages = bytes.len() / PAGE_BYTES;
    let mut n_documents_left = 0;
    let mut n_tried = 0;
    for page in 0..n_pages {
        let content = page * PAGE_BYTES..(page + 1) * PAGE_BYTES;
        if bytes[content.clone()].iter().all(|&byte| byte == 0) {
            continue;
        }
        let mut damaged = bytes.clone();
        damaged[content].fill(0);
        let what = format!("page {page} is gone");
        survives(&damaged, &what);
        let salvage = rescue(&damaged, &stored, &what);
        rebuild(&salvage, &what);
        n_tried += 1;
        n_documents_left += stored.iter().filter(|(id, new)| salvage.read(*id).as_ref() == Some(new)).count();
    }
    let n_documents = n_tried * stored.len();
    assert!(n_documents_left * 4 > n_documents * 3, "{n_documents_left} of {n_documents} are whole");
}

#[test]
fn a_cut_file_is_an_error_and_no_panic() {
    let (bytes, _) = store();
    for n_bytes in (1..bytes.len()).step_by(bytes.len() / 100).chain([1, 9, 64, 320, 4095, 4096, 8192]) {
        let what = format!("cut to {n_bytes} bytes");
        survives(&bytes[..n_bytes], &what);
        let salvaged =
            catch_unwind(|| match Salvage::of_pages(&Disk::holding(bytes[..n_bytes].to_vec()).pages()) {
                Ok(_) | Err(Error::NotAStore) => {}
                Err(error) => panic!("{error}"),
            });
        assert!(salvaged.is_ok(), "{what}");
    }
}

#[test]
fn other_files_are_told_apart_and_left_alone() {
    let (mut headless, _) = store();
    headless[..512].fill(0);
    let (mut beheaded, stored) = store();
    beheaded[..PAGE_BYTES].fill(0);
    let text = b"# A Markdown file, not a knowledge base".to_vec();
    let not_ours = [text, vec![0; 10], vec![0; 4096], vec![0; 1 << 20], vec![7; 5000], beheaded.clone()];
    for bytes in not_ours {
        let disk = Disk::holding(bytes.clone());
        let error = disk.open().unwrap_err();
        assert!(matches!(error, Error::NotAStore), "{} bytes: {error}", bytes.len());
        assert!(error.to_string().contains("no knowledge base"), "{error}");
        assert!(disk.bytes() == bytes && disk.state().n_changes == 0);
    }
    // What has our mark was ours.
    let error = Disk::holding(headless).open().unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }) && error.to_string().contains("repair"), "{error}");
    let salvage = rescue(&beheaded, &stored, "without its first page");
    assert!(stored.iter().all(|(id, new)| salvage.read(*id).as_ref() == Some(new)));
    assert!(matches!(Salvage::of_pages(&Disk::holding(vec![3; 9000]).pages()), Err(Error::NotAStore)));
}

/// A file may come from somebody else: rows whose checksums are right, and that are not ours.
#[test]
fn rows_that_would_hurt_the_query_engine_never_reach_it() {
    let vector_of_five_bytes = b"\x91\x81\xA3Vec\x92\x00\xC4\x05abcde";
    let by_number = b"\x91\x81\x09\x92\x00\xC4\x05abcde";
    let no_utf8 = [0x91, 0x81, 0xA3, b'S', b't', b'r', 0xA2, 0xC3, 0x28];
    let cut_number = [0x91, 0x81, 0xA3, b'N', b'u', b'm', 0x81, 0xA3, b'I', b'n', b't', 0xD3, 0];
    let cases: [&[u8]; 5] = [vector_of_five_bytes, by_number, &no_utf8, &cut_number, b""];
    for packed in cases {
        let disk = Disk::default();
        let db = disk.open().unwrap();
        let setting = db.engine.relations().unwrap()["setting"];
        let key = [&setting.to_be_bytes()[..], &[0x06], b"theme\0\0\0\xFC"].concat();
        db.engine.put_rows(vec![(key, [&setting.to_be_bytes()[..], packed].concat())]).unwrap();
        let error = db.setting("theme").unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{packed:?}: {error:?}");
    }
}
