from penstock.sockets import listen


def test_applications_see_a_port_behind_a_unix_socket_too(tmp_path):
    listener = listen(f"unix:{tmp_path}/s", 1)
    with listener.socket:
        assert int(listener.port) > 0
        assert listener.url == f"unix:{tmp_path}/s"
