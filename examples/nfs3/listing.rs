//! Directories page by page: READDIR and READDIRPLUS (RFC 1813 §3.3.16, §3.3.17).
//!
//! A cookie is a name's place in the sorted listing, and the verifier is the time of the directory's last change: where
//! that has moved, so may have the names, and the client is told to begin again with NFS3ERR_BAD_COOKIE.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use xdr_core::{Encode, XdrString, encoded_len};

use crate::export::{Export, File};
use crate::protocol::{
    CookieVerifier, Entry, EntryPlus, FileName, NfsStat, ReadDir, ReadDirOk, ReadDirPlus, ReadDirPlusOk,
};

/// Most names of a directory: it is held and sorted in one piece.
const MAX_NAMES: usize = 65_536;
/// Most bytes of a page, whatever the client asks for.
pub(crate) const MAX_PAGE: u32 = 64 * 1024;

/// A directory's names, sorted, with `.` and `..` in front.
pub(crate) struct Listing {
    directory: Arc<Path>,
    verifier: CookieVerifier,
    names: Vec<Vec<u8>>,
}

impl Export {
    pub(crate) fn read_dir(&self, directory: &File, args: &ReadDir) -> Result<ReadDirOk, NfsStat> {
        let listing = self.listing(directory, args.cookie, args.cookieverf)?;
        let cookieverf = listing.verifier;
        let mut page =
            ReadDirOk { dir_attributes: Some(directory.attributes), cookieverf, entries: Vec::new(), eof: true };
        let mut room = Room::new(args.count, &page)?;
        for (cookie, name, file) in self.entries(directory, &listing, args.cookie)? {
            let entry = Entry { fileid: file.attributes.fileid, name, cookie };
            if !room.take(&entry) {
                page.eof = false;
                break;
            }
            page.entries.push(entry);
        }
        if page.entries.is_empty() && !page.eof { Err(NfsStat::TooSmall) } else { Ok(page) }
    }

    pub(crate) fn read_dir_plus(&self, directory: &File, args: &ReadDirPlus) -> Result<ReadDirPlusOk, NfsStat> {
        let listing = self.listing(directory, args.cookie, args.cookieverf)?;
        let cookieverf = listing.verifier;
        let mut page =
            ReadDirPlusOk { dir_attributes: Some(directory.attributes), cookieverf, entries: Vec::new(), eof: true };
        let mut room = Room::new(args.maxcount, &page)?;
        let mut plain_room = Room { left: args.dircount.min(MAX_PAGE) as usize };
        for (cookie, name, file) in self.entries(directory, &listing, args.cookie)? {
            let plain = Entry { fileid: file.attributes.fileid, name: name.clone(), cookie };
            let entry = EntryPlus {
                fileid: file.attributes.fileid,
                name,
                cookie,
                name_attributes: Some(file.attributes),
                name_handle: Some(self.handle(&file)?),
            };
            // `dircount` is a hint: a page has at least one entry where `maxcount` lets it.
            let hinted = plain_room.take(&plain) || page.entries.is_empty();
            if !hinted || !room.take(&entry) {
                page.eof = false;
                break;
            }
            page.entries.push(entry);
        }
        if page.entries.is_empty() && !page.eof { Err(NfsStat::TooSmall) } else { Ok(page) }
    }

    fn listing(&self, directory: &File, cookie: u64, asked: CookieVerifier) -> Result<Arc<Listing>, NfsStat> {
        let changed = directory.attributes.mtime;
        let verifier = (u64::from(changed.seconds) << 32 | u64::from(changed.nseconds)).to_be_bytes();
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        if cookie != 0 {
            if asked != verifier {
                return Err(NfsStat::BadCookie);
            }
            if let Some(listing) = &*listed
                && listing.directory == directory.path
                && listing.verifier == verifier
            {
                return Ok(Arc::clone(listing));
            }
        }
        // Others may go on listing while the disk is asked.
        drop(listed.take());
        drop(listed);
        let mut names = self.tree.names(&directory.path, MAX_NAMES)?;
        names.sort_unstable();
        names.splice(0..0, [b".".to_vec(), b"..".to_vec()]);
        let listing = Arc::new(Listing { directory: Arc::clone(&directory.path), verifier, names });
        *self.listed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&listing));
        Ok(listing)
    }

    /// The entries behind a cookie, each with its own. What has gone since the listing is left out.
    fn entries<'a>(
        &'a self,
        directory: &'a File,
        listing: &'a Listing,
        cookie: u64,
    ) -> Result<impl Iterator<Item = (u64, FileName, File)> + 'a, NfsStat> {
        let begin = usize::try_from(cookie).map_err(|_| NfsStat::BadCookie)?;
        let names = listing.names.get(begin..).ok_or(NfsStat::BadCookie)?;
        Ok((cookie..).zip(names).filter_map(move |(before, name)| {
            let file = self.lookup(directory, name).ok()?;
            Some((before + 1, FileName(XdrString(name.clone())), file))
        }))
    }
}

/// What still fits into a page, in bytes.
struct Room {
    left: usize,
}

impl Room {
    /// The room beside an empty page.
    fn new(count: u32, empty: &impl Encode) -> Result<Self, NfsStat> {
        let left = (count.min(MAX_PAGE) as usize).checked_sub(encoded_len(empty)).ok_or(NfsStat::TooSmall)?;
        Ok(Self { left })
    }

    /// Takes the room of an entry and of the flag before it. False when it does not fit.
    fn take(&mut self, entry: &impl Encode) -> bool {
        let left = self.left.checked_sub(encoded_len(entry) + 4);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}
