//! Where certificates are: in the places where users of libvirt expect them.

use std::path::{Path, PathBuf};

use rpc_frame::tls::TlsFiles;

#[cfg(feature = "client")]
use crate::uri::Certificates;

/// The folder of this machine's certificates.
const SYSTEM: &str = "/etc/pki/guestd";

/// Those who vouch for this machine's peers.
const AUTHORITIES: &str = "/etc/pki/CA/cacert.pem";

/// The files of a machine's daemon: `cacert.pem`, `servercert.pem` and `serverkey.pem` in `folder`, or else
/// `/etc/pki/CA/cacert.pem`, `/etc/pki/guestd/servercert.pem` and `/etc/pki/guestd/private/serverkey.pem`.
#[must_use]
pub fn server(folder: Option<&Path>) -> TlsFiles {
    match folder {
        Some(folder) => of_folder(folder, "server"),
        None => server_of(None, Path::new(AUTHORITIES), Path::new(SYSTEM)),
    }
}

/// The files of a user's own daemon: `cacert.pem`, and `servercert.pem` with `serverkey.pem`, of `~/.pki/guestd/` if they
/// are there; in place of the others those of the machine's daemon.
///
/// Not for a daemon of root's: whom root trusts as a client need not vouch for the machine's clients.
#[must_use]
pub fn users_server() -> TlsFiles {
    server_of(own_folder().as_deref(), Path::new(AUTHORITIES), Path::new(SYSTEM))
}

/// The files of a client: those that are named, and else `cacert.pem`, `clientcert.pem` and `clientkey.pem` in the folder
/// that is.
///
/// Without one, those of `~/.pki/guestd/` that are there; in place of the others, `/etc/pki/CA/cacert.pem`, and
/// `/etc/pki/guestd/clientcert.pem` with `/etc/pki/guestd/private/clientkey.pem`. A client without a certificate says
/// to nobody who it is.
#[cfg(feature = "client")]
#[must_use]
pub fn client(given: &Certificates) -> TlsFiles {
    let usual = match &given.folder {
        Some(folder) => of_folder(folder, "client"),
        None => client_of(own_folder().as_deref(), Path::new(AUTHORITIES), Path::new(SYSTEM)),
    };
    let files = TlsFiles::new(given.authorities.clone().unwrap_or(usual.authorities));
    match (given.certificate.clone().or(usual.certificate), given.key.clone().or(usual.key)) {
        (None, None) => files,
        // One without the other is a mistake, which the file that is missing is named for.
        (certificate, key) => {
            let (missing_certificate, missing_key) = in_system(Path::new(SYSTEM), "client");
            files.with_certificate(certificate.unwrap_or(missing_certificate), key.unwrap_or(missing_key))
        }
    }
}

/// `~/.pki/guestd`.
fn own_folder() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty())?;
    Some(PathBuf::from(home).join(".pki").join("guestd"))
}

#[cfg(feature = "client")]
fn client_of(own: Option<&Path>, authorities: &Path, system: &Path) -> TlsFiles {
    let files = TlsFiles::new(authorities_of(own, authorities));
    match pair(own, system, "client") {
        Some((certificate, key)) => files.with_certificate(certificate, key),
        None => files,
    }
}

fn server_of(own: Option<&Path>, authorities: &Path, system: &Path) -> TlsFiles {
    let files = TlsFiles::new(authorities_of(own, authorities));
    // A daemon cannot do without: where there is none, the machine's is missed.
    let (certificate, key) = pair(own, system, "server").unwrap_or_else(|| in_system(system, "server"));
    files.with_certificate(certificate, key)
}

fn authorities_of(own: Option<&Path>, authorities: &Path) -> PathBuf {
    let own = own.map(|own| own.join("cacert.pem")).filter(|file| file.exists());
    own.unwrap_or_else(|| authorities.to_owned())
}

/// The first certificate that is there, with its key. One without the other is a mistake, which the file that is missing
/// is named for.
fn pair(own: Option<&Path>, system: &Path, whose: &str) -> Option<(PathBuf, PathBuf)> {
    let own = own.map(|own| (own.join(format!("{whose}cert.pem")), own.join(format!("{whose}key.pem"))));
    let mut pairs = own.into_iter().chain([in_system(system, whose)]);
    pairs.find(|(certificate, key)| certificate.exists() || key.exists())
}

fn of_folder(folder: &Path, whose: &str) -> TlsFiles {
    let file = |what: &str| folder.join(format!("{whose}{what}.pem"));
    TlsFiles::new(folder.join("cacert.pem")).with_certificate(file("cert"), file("key"))
}

fn in_system(system: &Path, whose: &str) -> (PathBuf, PathBuf) {
    (system.join(format!("{whose}cert.pem")), system.join(format!("private/{whose}key.pem")))
}

#[cfg(all(test, feature = "client"))]
mod tests {
    use std::fs;

    use super::*;

    type Search = fn(Option<&Path>, &Path, &Path) -> TlsFiles;

    fn files(search: Search, own: &[&str], system: &[&str]) -> [Option<PathBuf>; 3] {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("system/private")).unwrap();
        fs::create_dir_all(at("own")).unwrap();
        for (place, names) in [("own", own), ("system", system)] {
            for name in names {
                fs::write(at(place).join(name), "").unwrap();
            }
        }
        let files = search(Some(&at("own")), &at("ca"), &at("system"));
        [Some(files.authorities), files.certificate, files.key]
            .map(|file| file.map(|file| file.strip_prefix(folder.path()).unwrap().to_owned()))
    }

    fn paths(names: [&str; 3]) -> [Option<PathBuf>; 3] {
        names.map(|name| Some(PathBuf::from(name)).filter(|path| !path.as_os_str().is_empty()))
    }

    #[test]
    fn a_users_own_files_come_before_the_machines() {
        let files = |own: &[&str], system: &[&str]| files(client_of, own, system);
        let both = ["clientcert.pem", "clientkey.pem"];
        let machines = ["clientcert.pem", "private/clientkey.pem"];
        let of_machine = ["ca", "system/clientcert.pem", "system/private/clientkey.pem"];
        assert_eq!(files(&[], &[]), paths(["ca", "", ""]));
        assert_eq!(files(&[], &machines), paths(of_machine));
        assert_eq!(files(&["cacert.pem"], &[]), paths(["own/cacert.pem", "", ""]));
        assert_eq!(files(&["cacert.pem"], &machines), paths(["own/cacert.pem", of_machine[1], of_machine[2]]));
        assert_eq!(files(&both, &machines), paths(["ca", "own/clientcert.pem", "own/clientkey.pem"]));
        // One of them alone stands for both, so that the other is missed.
        assert_eq!(files(&both[1..], &machines), paths(["ca", "own/clientcert.pem", "own/clientkey.pem"]));
    }

    #[test]
    fn so_do_those_of_a_users_own_daemon_and_the_machines_are_missed() {
        let files = |own: &[&str], system: &[&str]| files(server_of, own, system);
        let both = ["servercert.pem", "serverkey.pem"];
        let machines = ["servercert.pem", "private/serverkey.pem"];
        let of_machine = ["ca", "system/servercert.pem", "system/private/serverkey.pem"];
        assert_eq!(files(&[], &[]), paths(of_machine));
        assert_eq!(files(&["clientcert.pem"], &machines), paths(of_machine));
        assert_eq!(files(&["cacert.pem"], &machines), paths(["own/cacert.pem", of_machine[1], of_machine[2]]));
        assert_eq!(files(&both, &machines), paths(["ca", "own/servercert.pem", "own/serverkey.pem"]));
        assert_eq!(files(&both[..1], &machines), paths(["ca", "own/servercert.pem", "own/serverkey.pem"]));
    }

    #[test]
    fn a_folder_has_all_in_one_place() {
        let at = |files: TlsFiles| [Some(files.authorities), files.certificate, files.key];
        let folder = Certificates { folder: Some("p".into()), ..Certificates::default() };
        assert_eq!(at(client(&folder)), paths(["p/cacert.pem", "p/clientcert.pem", "p/clientkey.pem"]));
        assert_eq!(at(server(Some(Path::new("p")))), paths(["p/cacert.pem", "p/servercert.pem", "p/serverkey.pem"]));
        let system =
            ["/etc/pki/CA/cacert.pem", "/etc/pki/guestd/servercert.pem", "/etc/pki/guestd/private/serverkey.pem"];
        assert_eq!(at(server(None)), paths(system));
    }
}
