//! Where certificates are: in the places where users of libvirt expect them.

use std::path::{Path, PathBuf};

use rpc_frame::tls::TlsFiles;

/// The folder of this machine's certificates.
const SYSTEM: &str = "/etc/pki/guestd";

/// Those who vouch for this machine's peers.
const AUTHORITIES: &str = "/etc/pki/CA/cacert.pem";

/// The files of a daemon: `cacert.pem`, `servercert.pem` and `serverkey.pem` in `folder`, or else
/// `/etc/pki/CA/cacert.pem`, `/etc/pki/guestd/servercert.pem` and `/etc/pki/guestd/private/serverkey.pem`.
#[must_use]
pub fn server(folder: Option<&Path>) -> TlsFiles {
    match folder {
        Some(folder) => of_folder(folder, "server"),
        None => {
            TlsFiles::new(AUTHORITIES).with_certificate(in_system("servercert.pem"), in_system("private/serverkey.pem"))
        }
    }
}

/// The files of a client: `cacert.pem`, `clientcert.pem` and `clientkey.pem` in `folder`.
///
/// Without one, those of `~/.pki/guestd/` that are there; in place of the others, `/etc/pki/CA/cacert.pem`, and
/// `/etc/pki/guestd/clientcert.pem` with `/etc/pki/guestd/private/clientkey.pem`. A client without a certificate says
/// to nobody who it is.
#[must_use]
pub fn client(folder: Option<&Path>) -> TlsFiles {
    if let Some(folder) = folder {
        return of_folder(folder, "client");
    }
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    let own = home.map(|home| PathBuf::from(home).join(".pki").join("guestd"));
    client_of(own.as_deref(), Path::new(AUTHORITIES), Path::new(SYSTEM))
}

fn client_of(own: Option<&Path>, authorities: &Path, system: &Path) -> TlsFiles {
    let own_authorities = own.map(|own| own.join("cacert.pem")).filter(|file| file.exists());
    let files = TlsFiles::new(own_authorities.unwrap_or_else(|| authorities.to_owned()));
    let pairs = [
        own.map(|own| (own.join("clientcert.pem"), own.join("clientkey.pem"))),
        Some((system.join("clientcert.pem"), system.join("private/clientkey.pem"))),
    ];
    // One without the other is a mistake, which the file that is missing is named for.
    let pair = pairs.into_iter().flatten().find(|(certificate, key)| certificate.exists() || key.exists());
    match pair {
        Some((certificate, key)) => files.with_certificate(certificate, key),
        None => files,
    }
}

fn of_folder(folder: &Path, whose: &str) -> TlsFiles {
    let file = |what: &str| folder.join(format!("{whose}{what}.pem"));
    TlsFiles::new(folder.join("cacert.pem")).with_certificate(file("cert"), file("key"))
}

fn in_system(file: &str) -> PathBuf {
    Path::new(SYSTEM).join(file)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn files(own: &[&str], system: &[&str]) -> [Option<PathBuf>; 3] {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("system/private")).unwrap();
        fs::create_dir_all(at("own")).unwrap();
        for (place, names) in [("own", own), ("system", system)] {
            for name in names {
                fs::write(at(place).join(name), "").unwrap();
            }
        }
        let files = client_of(Some(&at("own")), &at("ca"), &at("system"));
        [Some(files.authorities), files.certificate, files.key]
            .map(|file| file.map(|file| file.strip_prefix(folder.path()).unwrap().to_owned()))
    }

    fn paths(names: [&str; 3]) -> [Option<PathBuf>; 3] {
        names.map(|name| Some(PathBuf::from(name)).filter(|path| !path.as_os_str().is_empty()))
    }

    #[test]
    fn a_users_own_files_come_before_the_machines() {
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
    fn a_folder_has_all_in_one_place() {
        let at = |files: TlsFiles| [Some(files.authorities), files.certificate, files.key];
        assert_eq!(at(client(Some(Path::new("p")))), paths(["p/cacert.pem", "p/clientcert.pem", "p/clientkey.pem"]));
        assert_eq!(at(server(Some(Path::new("p")))), paths(["p/cacert.pem", "p/servercert.pem", "p/serverkey.pem"]));
        let system =
            ["/etc/pki/CA/cacert.pem", "/etc/pki/guestd/servercert.pem", "/etc/pki/guestd/private/serverkey.pem"];
        assert_eq!(at(server(None)), paths(system));
    }
}
