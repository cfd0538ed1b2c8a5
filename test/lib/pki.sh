# Certificates for demonstrations and tests, made with openssl in seconds.
#
#   pki_begin DIR                       everything below goes there
#   pki_ca NAME [ISSUER] [OPTION=V]...  NAME.key, NAME.pem; no ISSUER (or ""): a root
#   pki_leaf NAME ISSUER [OPTION=V]...  a recording certificate: NAME.key, NAME.pem
#   pki_server NAME ISSUER [OPTION=V].. a server's, for localhost and 127.0.0.1
#   pki_revoke NAME ISSUER
#   pki_crl ISSUER FILE [DAYS]          DAYS < 0: its nextUpdate has passed
#
# Options: bits=2048 digest=sha256 key=rsa|ec subject=/CN=.. start=DAYS end=DAYS
# (from today; may be negative) usage=keyEncipherment (or another, or none).

PKI=

pki_begin()
{
    PKI=$1
    mkdir -p "$PKI"
    cat >"$PKI/openssl.cnf" <<'END'
[ca]
default_ca = issuer
[issuer]
database = $ENV::PKI_CA/index
serial = $ENV::PKI_CA/serial
crlnumber = $ENV::PKI_CA/crlnumber
new_certs_dir = $ENV::PKI_CA
certificate = $ENV::PKI_CA.pem
private_key = $ENV::PKI_CA.key
default_md = sha256
policy = any
unique_subject = no
x509_extensions = root
[any]
countryName = optional
organizationName = optional
commonName = supplied
[req]
distinguished_name = dn
[dn]
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = CA:false
keyUsage = critical, $ENV::PKI_USAGE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[server]
basicConstraints = CA:false
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth
subjectAltName = IP:127.0.0.1, DNS:localhost
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[leaf_any_usage]
basicConstraints = CA:false
subjectKeyIdentifier = hash
END
}

# openssl is talkative: what it says is shown only when it fails.
pki_openssl()
{
    local said
    if ! said=$(PKI_CA=$PKI/${PKI_ISSUER:-none} PKI_USAGE=${PKI_USAGE:-keyEncipherment} \
        openssl "$@" 2>&1); then
        echo "openssl $*: $said" >&2
        return 1
    fi
}

pki_time()
{
    date -u -d "$1 days" +%Y%m%d%H%M%SZ
}

pki_key()
{
    if [[ $1 == ec ]]; then
        pki_openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$3"
    else
        pki_openssl genrsa -out "$3" "$2"
    fi
    chmod 600 "$3"
}

# pki_issue NAME ISSUER EXTENSIONS [OPTION=V]...
pki_issue()
{
    local name=$1 PKI_ISSUER=$2 extensions=$3 option
    local bits=2048 digest=sha256 key=rsa subject="/C=US/O=Example/CN=$name"
    local start=-1 end=365 PKI_USAGE=keyEncipherment signer=()
    shift 3
    for option in "$@"; do
        case $option in
        usage=*) PKI_USAGE=${option#usage=} ;;
        bits=* | digest=* | key=* | subject=* | start=* | end=*) local "$option" ;;
        *) echo "pki: unknown option $option" >&2; return 1 ;;
        esac
    done
    [[ $extensions != leaf || $PKI_USAGE != none ]] || extensions=leaf_any_usage
    if [[ $PKI_USAGE == none ]]; then
        PKI_USAGE=keyEncipherment
    fi

    pki_key "$key" "$bits" "$PKI/$name.key"
    pki_openssl req -new -config "$PKI/openssl.cnf" -key "$PKI/$name.key" -subj "$subject" \
        -out "$PKI/$name.csr"
    if [[ $PKI_ISSUER == "$name" ]]; then
        signer=(-selfsign)
    fi
    pki_openssl ca -batch -notext -config "$PKI/openssl.cnf" -extensions "$extensions" \
        -md "$digest" -startdate "$(pki_time "$start")" -enddate "$(pki_time "$end")" \
        "${signer[@]}" -in "$PKI/$name.csr" -out "$PKI/$name.pem"
    rm -f "$PKI/$name.csr"
}

pki_ca()
{
    local name=$1 issuer=${2:-$1}
    shift
    [[ $# -eq 0 ]] || shift
    mkdir -p "$PKI/$name"
    : >"$PKI/$name/index"
    echo 1001 >"$PKI/$name/serial"
    echo 01 >"$PKI/$name/crlnumber"
    pki_issue "$name" "$issuer" root end=3650 "$@"
}

pki_leaf()
{
    local name=$1 issuer=$2
    shift 2
    pki_issue "$name" "$issuer" leaf "$@"
}

pki_server()
{
    local name=$1 issuer=$2
    shift 2
    pki_issue "$name" "$issuer" server "$@"
}

pki_revoke()
{
    local PKI_ISSUER=$2
    pki_openssl ca -config "$PKI/openssl.cnf" -revoke "$PKI/$1.pem" -crl_reason keyCompromise
}

pki_crl()
{
    local PKI_ISSUER=$1 days=${3:-30}
    pki_openssl ca -gencrl -config "$PKI/openssl.cnf" -out "$2" \
        -crl_lastupdate "$(pki_time -60)" -crl_nextupdate "$(pki_time "$days")"
}
