//go:build unix

package temporaltest

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"stargate/ledger/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// A server that was killed comes back at its address and knows what it knew.
func TestServer(t *testing.T) {
	for name, postgres := range map[string]bool{"file": false, "postgres": true} {
		t.Run(name, func(t *testing.T) {
			o := Options{Namespace: "stargate", Attributes: map[string]string{"Run": "Keyword", "Pairs": "Int"}}
			if postgres {
				o.Postgres = pgtest.Shared(t)
			}
			s := Start(t, o)
			knows(t, s)
			page, err := http.Get(s.UI() + "/namespaces/stargate/workflows")
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(page.Body)
			if err != nil || page.StatusCode != http.StatusOK || !strings.Contains(string(body), "<html") {
				t.Errorf("the UI: %s, %v", page.Status, err)
			}
			address := s.Address()
			s.Kill(t)
			if c, err := net.Dial("tcp", address); err == nil {
				c.Close()
				t.Error("a server that was killed takes connections")
			}
			s.Restart(t)
			if s.Address() != address {
				t.Errorf("it came back at %s, not %s", s.Address(), address)
			}
			knows(t, s)
			s.Pause(t)
			s.Resume(t)
			s.Stop(t)
			s.Restart(t)
			knows(t, s)
			if !postgres {
				if wal, err := os.Stat(filepath.Join(s.dir, "temporal.db-wal")); err != nil || wal.Size() == 0 {
					t.Errorf("the file is not in write-ahead mode: %v", err)
				}
			}
		})
	}
}

// knows asks the server, through the UI's API, for its namespace and the attributes there.
func knows(t *testing.T, s *Server) {
	t.Helper()
	r, err := http.Get(s.UI() + "/api/v1/namespaces/stargate/search-attributes")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	var have struct {
		CustomAttributes map[string]string `json:"customAttributes"`
	}
	if err := json.NewDecoder(r.Body).Decode(&have); err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != http.StatusOK || have.CustomAttributes["Run"] != "INDEXED_VALUE_TYPE_KEYWORD" || have.CustomAttributes["Pairs"] != "INDEXED_VALUE_TYPE_INT" {
		t.Errorf("%s: search attributes %v", r.Status, have.CustomAttributes)
	}
}

// echo is a server that sends back what it gets.
func echo(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l
}

func TestLink(t *testing.T) {
	l := NewLink(t, echo(t, "127.0.0.1:0").Addr().String())
	c, err := net.Dial("tcp", l.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	say := func(word string) {
		if _, err := io.WriteString(c, word); err != nil {
			t.Fatal(err)
		}
	}
	hear := func(word string) {
		t.Helper()
		got := make([]byte, len(word))
		if _, err := io.ReadFull(c, got); err != nil || string(got) != word {
			t.Fatalf("heard %q, %v; want %q", got, err, word)
		}
	}
	say("one")
	hear("one")
	l.Cut()
	say("two")
	if err := c.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 8)); err == nil {
		t.Errorf("%d bytes came through a link that was cut", n)
	}
	if err := c.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	l.Mend()
	hear("two")
}
