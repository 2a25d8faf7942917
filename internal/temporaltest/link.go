package temporaltest

import (
	"net"
	"sync"
	"testing"
)

// Link is a TCP way to a server that can be cut as a network is: connections stay as they
// are, and nothing goes through until it is mended.
type Link struct {
	target   string
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	open   chan struct{} // closed while the link is whole
	ends   map[net.Conn]bool
	closed bool
}

// NewLink makes a link to the server at target, which ends with the test.
func NewLink(tb testing.TB, target string) *Link {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	l := &Link{target: target, listener: listener, open: make(chan struct{}), ends: make(map[net.Conn]bool)}
	close(l.open)
	l.running.Go(l.accept)
	tb.Cleanup(l.close)
	return l
}

// Address is where clients connect instead of to the server.
func (l *Link) Address() string { return l.listener.Addr().String() }

// Cut lets nothing through any more.
func (l *Link) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.open:
		l.open = make(chan struct{})
	default: // it is cut
	}
}

// Mend makes the link whole. What was sent meanwhile arrives, as it does where the system
// sends it again.
func (l *Link) Mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mend()
}

func (l *Link) mend() {
	select {
	case <-l.open:
	default:
		close(l.open)
	}
}

// whole waits until the link is whole.
func (l *Link) whole() {
	l.mu.Lock()
	open := l.open
	l.mu.Unlock()
	<-open
}

func (l *Link) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return // it is closed
		}
		if l.add(client) {
			l.running.Go(func() { l.connect(client) })
		}
	}
}

// connect carries one connection both ways until one of them ends.
func (l *Link) connect(client net.Conn) {
	defer l.remove(client)
	l.whole()
	server, err := net.Dial("tcp", l.target)
	if err != nil || !l.add(server) {
		return
	}
	defer l.remove(server)
	var back sync.WaitGroup
	back.Go(func() { l.carry(client, server) })
	l.carry(server, client)
	back.Wait()
}

// carry copies what from says to to. When one side has ended, so does the other.
func (l *Link) carry(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		l.whole()
		if _, failed := to.Write(buffer[:n]); failed != nil || err != nil {
			return
		}
	}
}

// add notes a connection, or closes it where the link has ended.
func (l *Link) add(c net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		c.Close()
		return false
	}
	l.ends[c] = true
	return true
}

func (l *Link) remove(c net.Conn) {
	c.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.ends, c)
}

func (l *Link) close() {
	l.listener.Close()
	l.mu.Lock()
	l.closed = true
	for c := range l.ends {
		c.Close()
	}
	l.mend()
	l.mu.Unlock()
	l.running.Wait()
}
