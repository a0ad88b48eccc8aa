"""Manifests of Kubernetes: Deployment, Service, Ingress, autoscaler, disruption budget, ConfigMap and Secret.

The times fit together: a pod that is to leave first stays for as long as its address is still known, then ends its
requests, and is killed only after both.
"""

import json
import math

from penstock.interop.export.container import ADMIN_PORT, PORT, USER, serve_command, state_notes
from penstock.interop.export.deployment import Deployment, Exported

# Seconds until every node has heard that a pod leaves.
FAREWELL = 5
# Seconds that Penstock itself needs beside graceful_timeout.
MARGIN = 5
PROBE_PERIOD = 5


def export(deployment: Deployment) -> Exported:
    """The manifests; the secrets apart, because they are not committed."""
    files = {"kubernetes.yaml": "---\n".join(manifests(deployment))}
    if deployment.secrets:
        files["kubernetes-secret.yaml"] = secret(deployment)
    return Exported(
        files, notes(deployment), [f"kubectl apply {' '.join(f'-f {name}' for name in sorted(files, reverse=True))}"]
    )


def manifests(deployment: Deployment) -> list[str]:
    """One text for each object."""
    return [
        config_map(deployment),
        workload(deployment),
        service(deployment),
        ingress(deployment),
        *scaling(deployment),
    ]


def quoted(text: object) -> str:
    """A string that YAML reads as one, whatever is in it."""
    return json.dumps(str(text), ensure_ascii=False)


def config_map(deployment: Deployment) -> str:
    """The variables that are no secrets."""
    variables = "".join(f"  {name}: {quoted(value)}\n" for name, value in deployment.variables.items())
    return f"""\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {deployment.name}
data:
{variables}\
  # The network that the ingress controller's pods are in: their X-Forwarded-For is believed.
  PENSTOCK_FORWARDED_ALLOW: {quoted(forwarded_allow(deployment))}
"""


def forwarded_allow(deployment: Deployment) -> str:
    """The proxies of the configuration; when those are this machine alone, the private networks of clusters."""
    named = [peer for peer in deployment.config.forwarded_allow if not peer.startswith("127.")]
    named = [peer for peer in named if peer not in ("::1", "unix")]
    return ",".join(named or ["10.0.0.0/8"])


def secret(deployment: Deployment) -> str:
    """The secrets, to be filled in. Never committed."""
    lines = "".join(f'  {name}: ""  # fill in\n' for name in deployment.secrets)
    return f"""\
# Do not commit this file.
apiVersion: v1
kind: Secret
metadata:
  name: {deployment.name}
type: Opaque
stringData:
{lines}"""


def workload(deployment: Deployment) -> str:
    """The pods."""
    config, name = deployment.config, deployment.name
    command = serve_command(deployment, f"--admin-bind=0.0.0.0:{ADMIN_PORT}")
    # $(NAME) would be a variable there.
    words = [word.replace("$(", "$$(") for word in command]
    arguments = "".join(f"            - {quoted(word)}\n" for word in words)
    secrets = f"            - secretRef:\n                name: {name}\n" if deployment.secrets else ""
    grace = FAREWELL + math.ceil(config.graceful_timeout) + MARGIN
    tries = math.ceil(config.boot_timeout / PROBE_PERIOD)
    return f"""\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  labels:
    app.kubernetes.io/name: {name}
spec:
  selector:
    matchLabels:
      app.kubernetes.io/name: {name}
  strategy:
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  template:
    metadata:
      labels:
        app.kubernetes.io/name: {name}
    spec:
      terminationGracePeriodSeconds: {grace}
      automountServiceAccountToken: false
      securityContext:
        runAsNonRoot: true
        runAsUser: {USER}
        runAsGroup: {USER}
        fsGroup: {USER}
        seccompProfile:
          type: RuntimeDefault
      containers:
        - name: web
          image: {quoted(deployment.wishes.image or f"{name}:latest")}
          command:
{arguments}\
          envFrom:
            - configMapRef:
                name: {name}
{secrets}\
          ports:
            - name: http
              containerPort: {PORT}
            - name: admin
              containerPort: {ADMIN_PORT}
          startupProbe:
            httpGet:
              path: /startup
              port: admin
            periodSeconds: {PROBE_PERIOD}
            failureThreshold: {tries}
          readinessProbe:
            httpGet:
              path: /ready
              port: admin
            periodSeconds: {PROBE_PERIOD}
          livenessProbe:
            httpGet:
              path: /live
              port: admin
            periodSeconds: {2 * PROBE_PERIOD}
          lifecycle:
            preStop:
              sleep:
                seconds: {FAREWELL}
          resources:
            # What one pod needs: measure it with `penstock status`. Workers follow the CPU limit.
            requests:
              cpu: 500m
              memory: 256Mi
            limits:
              cpu: "1"
              memory: 512Mi
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities:
              drop: ["ALL"]
          volumeMounts:
            - name: temporary
              mountPath: /tmp
      volumes:
        - name: temporary
          emptyDir: {{}}
"""


def service(deployment: Deployment) -> str:
    """The address within the cluster. The admin port is for the probes, and not in it."""
    return f"""\
apiVersion: v1
kind: Service
metadata:
  name: {deployment.name}
spec:
  selector:
    app.kubernetes.io/name: {deployment.name}
  ports:
    - name: http
      port: 80
      targetPort: http
"""


def ingress(deployment: Deployment) -> str:
    """The way in from outside."""
    hosts = ["*" + host if host.startswith(".") else host for host in deployment.hosts]
    rules = "".join(rule(deployment.name, f"- host: {quoted(host)}\n      http:") for host in hosts)
    listed = "".join(f"        - {quoted(host)}\n" for host in hosts)
    tls = f"  tls:\n    - secretName: {deployment.name}-tls\n      hosts:\n{listed}" if hosts else ""
    return f"""\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {deployment.name}
spec:
{tls}\
  rules:
{rules or rule(deployment.name, "- http:")}"""


def rule(name: str, head: str) -> str:
    """All paths of a host."""
    return f"""\
    {head}
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {name}
                port:
                  name: http
"""


def scaling(deployment: Deployment) -> list[str]:
    """How many pods there are: two at least, so that one may leave."""
    name = deployment.name
    return [
        f"""\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {name}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {name}
  minReplicas: 2
  maxReplicas: 10
  metrics:
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: 70
""",
        f"""\
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {name}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      app.kubernetes.io/name: {name}
""",
    ]


def notes(deployment: Deployment) -> list[str]:
    """What a person has to see to."""
    told = [note for note in state_notes(deployment) if not note.startswith("forwarded_allow")]
    if not deployment.wishes.image:
        told.append(f"the image is called {deployment.name}:latest; --image names another")
    if not deployment.hosts:
        told.append("ALLOWED_HOSTS names no public host, so the Ingress takes every host")
    return told
