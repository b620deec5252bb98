package routes

import (
	"context"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func keeper(t *testing.T, dir string, sources ...string) *Keeper {
	c := Default(filepath.Join(dir, "routes"), slog.New(slog.NewTextHandler(t.Output(), nil)))
	c.Sources = sources
	return NewKeeper(c)
}

func write(t *testing.T, path, text string, at time.Time) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func texts(table *Table) (list []string) {
	for a := range table.All() {
		list = append(list, a.Prefix.String())
	}
	return list
}

// TestKeeps: what fails, or shrinks to less than half, leaves what was there, over a restart too, until it is too old; what few peers see is
// left out; what is seen again keeps its age.
func TestKeeps(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	path, now := filepath.Join(dir, "bgp.csv"), time.Now().UTC().Truncate(time.Second)
	k := keeper(t, dir, path)
	if table, why := k.Now(now); table != nil || !strings.Contains(why, "not known") {
		t.Errorf("%v, %q", texts(table), why)
	}
	if err := k.Refresh(ctx, path); err == nil {
		t.Error("a file that is missing was read")
	}
	write(t, path, "192.0.2.0/24,1,5\n198.51.100.0/24,2,9\n203.0.113.0/24,3,4\n", now.Add(-3*time.Hour))
	first := []string{"192.0.2.0/24", "198.51.100.0/24"}
	for range 2 { // the second finds it unchanged
		if err := k.Refresh(ctx, path); err != nil {
			t.Fatal(err)
		}
		if table, _ := k.Now(now); !slices.Equal(texts(table), first) {
			t.Errorf("%v, want %v", texts(table), first)
		}
	}
	write(t, path, "192.0.2.0/24,1,5\n", now.Add(-2*time.Hour))
	if err := k.Refresh(ctx, path); err == nil || !strings.Contains(err.Error(), "less than half") {
		t.Errorf("it shrank: %v", err)
	}
	k = keeper(t, dir, path)
	if table, _ := k.Now(now); !slices.Equal(texts(table), first) {
		t.Errorf("after a restart %v, want %v", texts(table), first)
	}
	if s := k.Status(now); len(s) != 1 || !strings.Contains(s[0].Error, "less than half") || !s[0].Used || s[0].V4 != 3 {
		t.Errorf("status %+v", s)
	}
	write(t, path, "192.0.2.0/24,1,5\n198.51.100.0/25,2,9\n", now.Add(-time.Hour))
	if err := k.Refresh(ctx, path); err != nil {
		t.Fatal(err)
	}
	table, _ := k.Now(now)
	for prefix, since := range map[string]time.Duration{"192.0.2.0/24": 3 * time.Hour, "198.51.100.0/25": time.Hour} {
		for a := range table.Covered(netip.MustParsePrefix(prefix)) {
			if !a.Since.Equal(now.Add(-since)) {
				t.Errorf("%s is seen since %s, want %s ago", prefix, a.Since, since)
			}
		}
	}
	if table, why := k.Now(now.Add(8 * 24 * time.Hour)); table != nil || !strings.Contains(why, "more than 7d ago") {
		t.Errorf("%v, %q", texts(table), why)
	}
	if err := os.WriteFile(k.tablePath(path), []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	k = keeper(t, dir, path)
	if table, why := k.Now(now); table != nil || !strings.Contains(why, "not known") {
		t.Errorf("of a damaged file %v, %q", texts(table), why)
	}
	if err := k.Refresh(ctx, path); err != nil {
		t.Fatal(err)
	}
	if err := k.Import(Of(now, Announcement{Prefix: netip.MustParsePrefix("203.0.113.0/24"), Origin: 3})); err != nil {
		t.Fatal(err)
	}
	if table, _ := k.Now(now); table.Len() != 3 {
		t.Errorf("with what was imported %v", texts(table))
	}
	if err := k.Forget(Imported); err != nil {
		t.Fatal(err)
	}
	if table, _ := k.Now(now); table.Len() != 2 || k.Forget(Imported) == nil {
		t.Errorf("without what was imported %v", texts(table))
	}
}

// TestFetch fetches from a server that says when nothing changed, and fails.
func TestFetch(t *testing.T) {
	answers := []int{200, 304, 500, 200}
	asked := 0
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := answers[asked]
		if conditional := r.Header.Get("If-None-Match") == `"one"`; conditional != (asked > 0) {
			t.Errorf("request %d: %v", asked, r.Header)
		}
		asked++
		w.Header().Set("ETag", `"one"`)
		w.WriteHeader(answer)
		if answer == 200 {
			_, _ = w.Write([]byte("64496\t192.0.2.0/24\t40\n"))
		}
	}))
	defer server.Close()
	dir := t.TempDir()
	roots := filepath.Join(dir, "roots.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	k := keeper(t, dir, server.URL+"/riswhoisdump.IPv4")
	k.roots = roots
	for i, answer := range answers {
		err := k.Refresh(context.Background(), k.config.Sources[0])
		if failed := answer == 500; (err != nil) != failed || (k.Status(time.Now())[0].Error != "") != failed {
			t.Errorf("answer %d: %v", i, err)
		}
		if table, why := k.Now(time.Now()); table.Len() != 1 {
			t.Errorf("answer %d: %v, %s", i, texts(table), why)
		}
	}
}

// TestSchedule: a source is read at once, and then every hour; one that is forgotten at once again.
func TestSchedule(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "bgp.csv")
	synctest.Test(t, func(t *testing.T) {
		write(t, path, "192.0.2.0/24,1\n", time.Now())
		k := keeper(t, dir, path)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			k.Run(ctx)
			close(ended)
		}()
		for hour := range 3 {
			synctest.Wait()
			if got := k.Status(time.Now())[0].Read; !got.Equal(time.Now().UTC()) {
				t.Errorf("hour %d: it was read at %s", hour, got)
			}
			if hour < 2 {
				time.Sleep(time.Hour)
			}
		}
		time.Sleep(time.Minute)
		if err := k.Forget(path); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := k.Status(time.Now())[0].Read; !got.Equal(time.Now().UTC()) {
			t.Errorf("after it was forgotten it was read at %s", got)
		}
		cancel()
		<-ended
	})
}
