use super::*;

async fn open(driver: &LibvirtDriver, uri: &str) -> Reply<Opening> {
    driver.open(&uri.parse().unwrap()).await
}

#[tokio::test]
async fn a_uri_of_libvirt_is_served_by_its_own_connection() {
    let driver = LibvirtDriver::new();
    for _ in 0..2 {
        let Ok(Opening::Through(connection)) = open(&driver, "test:///default").await else { panic!("not opened") };
        assert_eq!(connection.name(), "libvirt");
    }
    assert_eq!(driver.connections.lock().unwrap().len(), 1);
    for uri in ["nothing:///", "guest:///system", "esx:///"] {
        assert!(matches!(open(&driver, uri).await, Ok(Opening::Declined)), "{uri}");
    }
}

#[tokio::test]
async fn what_is_left_to_others_is_not_opened_here() {
    let driver = LibvirtDriver::new().without("qemu").without("test");
    for uri in ["test:///default", "qemu:///system", "qemu:///session"] {
        assert!(matches!(open(&driver, uri).await, Ok(Opening::Declined)), "{uri}");
    }
    assert!(driver.connections.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_libvirt_cannot_open_fails_with_its_code_and_text() {
    let driver = LibvirtDriver::new();
    let failure = driver.connect("test:///nonexistent.xml").await.unwrap_err();
    assert!(failure.message.contains("/nonexistent.xml"), "{failure}");
    let failure = driver.connect("test:///\0default").await.unwrap_err();
    assert_eq!((failure.code, failure.message.as_str()), (Code::InvalidArg, "the uri has a NUL"));
}

#[tokio::test]
async fn connections_that_nobody_uses_make_room_for_others() {
    let driver = LibvirtDriver::new();
    let uri = |number| format!("test:///default?number={number}");
    let mut held: Vec<_> = (0..CONNECTIONS_MAX).map(|number| driver.connection(&uri(number)).unwrap()).collect();
    let failure = driver.connection(&uri(CONNECTIONS_MAX)).unwrap_err();
    assert_eq!(failure.code, Code::OperationFailed);
    assert!(failure.message.contains("32 connections of libvirt are in use"), "{failure}");
    held.pop();
    driver.connection(&uri(CONNECTIONS_MAX)).unwrap();
    driver.connection(&uri(0)).unwrap();
}
