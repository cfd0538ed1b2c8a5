# Real WebDAV stores, started from a temporary directory on a free port.
# Needs process.sh.
#
#   store_start DIR [nginx|apache|rclone] [USER PASSWORD]
#       sets STORE_URL, STORE_ROOT (where the objects lie) and STORE_PID
#       (STORE_PORT: that port instead of a free one; STORE_TLS_CERT and
#       STORE_TLS_KEY: PEM files, then it speaks https)
#   store_password DIR USER PASSWORD   another password, for a running nginx

STORE_URL=
STORE_ROOT=
STORE_PID=

store_start()
{
    local dir=$1 kind=${2:-nginx} user=${3:-} password=${4:-} port tries scheme=http
    [[ -z ${STORE_TLS_CERT:-} ]] || scheme=https
    mkdir -p "$dir/store"
    STORE_ROOT=$dir/store
    for tries in 1 2 3; do
        port=${STORE_PORT:-$(free_port)}
        "store_$kind" "$dir" "$port" "$user" "$password"
        STORE_PID=$PROCESS_PID
        STORE_URL=$scheme://127.0.0.1:$port/
        if wait_until 10 store_settled "$port" && port_answers "$port"; then
            return 0
        fi
        # Somebody took the port in between, or the configuration is wrong.
        process_stop "$STORE_PID"
    done
    echo "store: $kind does not start:" >&2
    cat "$SCRATCH/store.log" "$dir"/*.log >&2
    return 1
}

store_settled()
{
    port_answers "$1" || process_gone "$STORE_PID"
}

store_nginx()
{
    local dir=$1 port=$2 user=$3 password=$4 auth= ssl= tls=
    mkdir -p "$dir/store/.tmp"
    if [[ -n $user ]]; then
        store_password "$dir" "$user" "$password"
        auth="auth_basic recordings; auth_basic_user_file $dir/users;"
    fi
    if [[ -n ${STORE_TLS_CERT:-} ]]; then
        ssl=" ssl"
        tls="ssl_certificate $STORE_TLS_CERT; ssl_certificate_key $STORE_TLS_KEY;"
    fi
    {
        [[ $(id -u) -ne 0 ]] || echo "user root;"
        cat <<END
load_module /usr/lib/nginx/modules/ngx_http_dav_ext_module.so;
daemon off; worker_processes 1; worker_rlimit_nofile 20000;
pid $dir/nginx.pid; error_log $dir/error.log;
events { worker_connections 16000; }
http {
    access_log off; dav_ext_lock_zone zone=dav:1m;
    client_body_temp_path $dir/store/.tmp; proxy_temp_path $dir/p; fastcgi_temp_path $dir/f;
    uwsgi_temp_path $dir/u; scgi_temp_path $dir/s;
    server {
        listen 127.0.0.1:$port$ssl; root $dir/store; $tls
        client_max_body_size 0; client_body_timeout 600s; $auth
        location / {
            dav_methods PUT DELETE MKCOL COPY MOVE; dav_ext_methods PROPFIND OPTIONS;
            create_full_put_path on; dav_access user:rw group:r;
        }
    }
}
END
    } >"$dir/nginx.conf"
    process_start store /usr/sbin/nginx -e "$dir/error.log" -c "$dir/nginx.conf"
}

store_apache()
{
    local dir=$1 port=$2 user=$3 password=$4 modules=/usr/lib/apache2/modules name
    local load=(mpm_event authz_core dav dav_fs) access='Require all granted'
    if [[ -n $user ]]; then
        load+=(authn_core authn_file auth_basic authz_user)
        store_password "$dir" "$user" "$password"
        access="AuthType Basic
    AuthName recordings
    AuthUserFile $dir/users
    Require valid-user"
    fi
    [[ -z ${STORE_TLS_CERT:-} ]] || load+=(socache_shmcb ssl)
    {
        [[ $(id -u) -ne 0 ]] || printf 'User www-data\nGroup www-data\n'
        for name in "${load[@]}"; do
            echo "LoadModule ${name}_module $modules/mod_$name.so"
        done
        cat <<END
ServerRoot $dir
ServerName 127.0.0.1
PidFile $dir/apache.pid
DefaultRuntimeDir $dir
ErrorLog $dir/error.log
DavLockDB $dir/lock
ThreadsPerChild 64
ServerLimit 64
MaxRequestWorkers 4096
Listen 127.0.0.1:$port
DocumentRoot $dir/store
<Directory $dir/store>
    Dav On
    $access
</Directory>
END
        if [[ -n ${STORE_TLS_CERT:-} ]]; then
            printf '%s\n' "SSLEngine on" "SSLCertificateFile $STORE_TLS_CERT" \
                "SSLCertificateKeyFile $STORE_TLS_KEY"
        fi
    } >"$dir/apache.conf"
    if [[ $(id -u) -eq 0 ]]; then
        chmod 755 "$SCRATCH"
        chown -R www-data: "$dir"
    fi
    process_start store /usr/sbin/apache2 -d "$dir" -f "$dir/apache.conf" -DFOREGROUND
}

store_rclone()
{
    local dir=$1 port=$2 options=()
    [[ -z $3 ]] || options+=(--user "$3" --pass "$4")
    [[ -z ${STORE_TLS_CERT:-} ]] || options+=(--cert "$STORE_TLS_CERT" --key "$STORE_TLS_KEY")
    HOME=$dir process_start store rclone serve webdav "$dir/store" --addr "127.0.0.1:$port" \
        --config "$dir/none" "${options[@]}"
}

# Renamed over: nginx reads it for each request.
store_password()
{
    printf '%s:%s\n' "$2" "$(openssl passwd -apr1 "$3")" >"$1/users.new"
    mv "$1/users.new" "$1/users"
}
