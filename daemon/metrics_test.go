package daemon

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"cadastre/internal/fault"
)

func TestMetrics(t *testing.T) {
	d := openTest(t)
	m := newMetrics()
	d.Engine.Observer = m
	m.registry.MustRegister(newStateCollector(d.Engine, func() time.Time { return time.Now().Add(time.Hour) }))
	m.watchEscrow(time.Now)()
	m.Signed(3, time.Second)
	m.Published("north", 7, time.Second)
	m.Refused(fault.Clock)
	m.Findings(2)
	m.messageRefused("acme", "replay")

	problems, err := testutil.GatherAndLint(m.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}

	gathered, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	help := map[string]string{}
	for _, family := range gathered {
		if strings.HasPrefix(family.GetName(), "cadastre_") {
			help[family.GetName()] = family.GetHelp()
		}
	}
	// what wakes an operator; dashboards and alerts name these, so that a new name is a change for their readers
	for _, name := range []string{
		"cadastre_first_expiry_seconds", "cadastre_anchor_needed_seconds", "cadastre_repository_age_seconds", "cadastre_repository_serial", "cadastre_repository_objects",
		"cadastre_vrps", "cadastre_key_pool_ready", "cadastre_keys_usable", "cadastre_keys_deactivated", "cadastre_publication_duration_seconds", "cadastre_batch_duration_seconds",
		"cadastre_plans_refused_total", "cadastre_gate_findings_total", "cadastre_frozen", "cadastre_tls_expiry_seconds",
		"cadastre_organisations_waiting", "cadastre_import_lines_disputed", "cadastre_waits",
		"cadastre_children", "cadastre_parents_failing", "cadastre_remote_repositories_failing", "cadastre_publishers_with_problems", "cadastre_messages_refused_total",
		"cadastre_escrow_last_deposit_timestamp_seconds", "cadastre_escrow_failures_total",
		"cadastre_transfers", "cadastre_transfers_open", "cadastre_transfers_disputed", "cadastre_transfers_held", "cadastre_transfers_oldest_waiting_seconds",
	} {
		if help[name] == "" {
			t.Errorf("there is no metric %s", name)
		}
	}
	for name, text := range help {
		if !strings.HasSuffix(text, ".") {
			t.Errorf("%s: its help is no sentence: %q", name, text)
		}
	}
	for kind := range strings.FieldsSeq("conflict storage invalid clock") {
		want := 0.0
		if kind == "clock" {
			want = 1
		}
		if got := testutil.ToFloat64(m.refused.WithLabelValues(kind)); got != want {
			t.Errorf("plans refused of kind %s: %g, not %g", kind, got, want)
		}
	}
	if got := testutil.ToFloat64(m.messages.WithLabelValues("replay")); got != 1 {
		t.Errorf("messages refused as replayed: %g", got)
	}
	if got := testutil.ToFloat64(m.findings); got != 2 {
		t.Errorf("findings: %g", got)
	}
}

// TestFirstExpiryFalls checks that the alarm that matters most counts down, and that it is about the trust anchor too.
func TestFirstExpiryFalls(t *testing.T) {
	d := openTest(t)
	at, holder, _ := d.Engine.FirstExpiry()
	if left := time.Until(at); left < 24*time.Hour || left > 60*24*time.Hour {
		t.Errorf("the first expiry is %s's in %s", holder, left)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if err := d.Engine.Unseal(ctx, []byte(testPassphrase), []byte(testPassphrase), 1); err != nil {
		t.Fatal(err)
	}
	if again, _, _ := d.Engine.FirstExpiry(); !again.Equal(at) {
		t.Errorf("opening the keys moved the first expiry from %s to %s", at, again)
	}
}
