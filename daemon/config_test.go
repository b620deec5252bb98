package daemon

import (
	"os"
	"strings"
	"testing"
	"time"

	"cadastre/ca"
)

// TestConfigOfBefore reads what init wrote before there were peers.
func TestConfigOfBefore(t *testing.T) {
	dir := t.TempDir()
	written := NewConfig("rpki.example", 8443, 873)
	if err := written.write(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(ConfigPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	var before strings.Builder
	left := 0
	for line := range strings.Lines(string(text)) {
		switch key, _, _ := strings.Cut(strings.TrimSpace(line), " "); key {
		case "service_base", "soak", "notice":
			left++
		default:
			before.WriteString(line)
		}
	}
	if left != 3 {
		t.Fatalf("init writes %d of the three keys", left)
	}
	if err := os.WriteFile(ConfigPath(dir), []byte(before.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := ReadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	if want := ca.DefaultPolicy(); c.policy.Soak != want.Soak || c.policy.Notice != want.Notice || c.policy.ServiceBase != "https://rpki.example:8443/" {
		t.Errorf("soak %s, notice %s, service base %s", c.policy.Soak, c.policy.Notice, c.policy.ServiceBase)
	}

	given := strings.NewReplacer(`soak = "30m"`, `soak = "0s"`, `notice = "1d"`, `notice = "5s"`, "https://rpki.example:8443/\"\n\n", "https://up.example/down/\"\n\n").Replace(string(text))
	if err := os.WriteFile(ConfigPath(dir), []byte(given), 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err = ReadConfig(dir); err != nil {
		t.Fatal(err)
	}
	if c.policy.Soak != 0 || c.policy.Notice != 5*time.Second || c.policy.ServiceBase != "https://up.example/down/" {
		t.Errorf("soak %s, notice %s, service base %s", c.policy.Soak, c.policy.Notice, c.policy.ServiceBase)
	}
}

// TestListenedFor: former addresses are listened for at their own ports, unless something between maps ports.
func TestListenedFor(t *testing.T) {
	c := NewConfig("rpki.example", 8443, 8873)
	c.Listen.Rsync = ":10873"
	was := ca.Addresses{RRDPBase: "https://old.example/rrdp/", RsyncBase: "rsync://old.example:9873/"}
	if l := c.listenedFor(was); l.HTTPS != ":443" || l.Rsync != ":10873" {
		t.Errorf("it listens on %+v", l)
	}
	c.Listen.Rsync = ""
	if l := c.listenedFor(was); l.Rsync != "" {
		t.Errorf("rsync, which is not served, listens on %s", l.Rsync)
	}
}
